"""Which model is live: `models/current`, a link that one rename moves; the older ones beside it, to go back to.

What the folder holds, `bokemodel.registry` says. `python -m training.publish --list`, `--rollback` and `--use NAME`.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path
from typing import Annotated

import typer

from bokemodel.bundle import Bundle, load_bundle, save_bundle
from bokemodel.errors import BundleError
from bokemodel.registry import CURRENT, NAME, WITHDRAWN, Published, published, withdrawn
from training.snapshots import write_whole

STARTER = "starter"  # the model that comes with the program, by name
_HALF = re.compile(r"\.(current\.|\d{8}-\d{6}-[0-9a-f]{8}\.)")  # what a process that was killed leaves


class PublishError(Exception):
    """Base of what keeps a model from becoming the live one; each message is one line."""


class NothingToRollBackTo(PublishError):
    """No older model is left in the folder."""


class CannotPublish(PublishError):
    """The models folder cannot be written, or is not what it should be."""


def bundle_name(created: str, key: str) -> str:
    """The folder of a bundle that was trained at a moment (ISO 8601, UTC) by the run of that key (hex)."""
    digits = re.sub(r"\D", "", created)[:14]
    return f"{digits[:8]}-{digits[8:]}-{key[:8]}"


def publish(models: Path, bundle: Bundle, name: str, keep: int) -> Path:
    """Write a bundle and make it the live one; at any moment readers find the old one or the new one.

    Doing it again after a kill does what was left to do. The newest `keep` bundles stay.

    Raises: CannotPublish; the old model then stays live.
    """
    if not NAME.fullmatch(name):
        raise ValueError(f"{name} is no name of a bundle")
    place = models / name
    try:
        models.mkdir(parents=True, exist_ok=True)
        _clear_halves(models)
        if not _is_whole(place):
            save_bundle(bundle, place)
        _point_to(models, name)
        _prune(models, keep)
    except OSError as error:
        raise CannotPublish(f"{models}: cannot publish: {error.strerror or error}; the old model stays") from None
    return place


def rollback(models: Path) -> Published | None:
    """Make the model before the current one live again; None: there was none before it, the starter serves.

    What is rolled back stays on disk, but is not gone back to.

    Raises: NothingToRollBackTo: nothing was published. CannotPublish.
    """
    known = published(models)
    live = next((bundle for bundle in known if bundle.live), None)
    if live is None:
        raise NothingToRollBackTo(f"{models}: nothing is published here, so there is nothing to roll back")
    older = [bundle for bundle in known if bundle.name < live.name and not bundle.withdrawn]
    try:
        _write_withdrawn(models, withdrawn(models) | {live.name})
        if not older:
            _clear_current(models)
            return None
        _point_to(models, older[-1].name)
    except OSError as error:
        raise CannotPublish(f"{models}: cannot roll back: {error.strerror or error}") from None
    return next(bundle for bundle in published(models) if bundle.live)


def use(models: Path, name: str) -> Published | None:
    """Make a bundle of the folder live, whether or not it was rolled back before; `STARTER` takes all away: None.

    Raises: CannotPublish: there is no such bundle, or it is damaged; the old model then stays live.
    """
    known = {bundle.name: bundle for bundle in published(models)}
    if name not in known and name != STARTER:
        raise CannotPublish(f"{models} holds no model called {name}; --list names those that are there")
    try:
        if name == STARTER:
            _clear_current(models)
            return None
        load_bundle(known[name].path)
        _point_to(models, name)
        _write_withdrawn(models, withdrawn(models) - {name})
    except BundleError as error:
        raise CannotPublish(f"{name} cannot be used: {error}") from None
    except OSError as error:
        raise CannotPublish(f"{models}: cannot publish: {error.strerror or error}; the old model stays") from None
    return next(bundle for bundle in published(models) if bundle.live)


def _clear_current(models: Path) -> None:
    _check_is_link(models / CURRENT)
    (models / CURRENT).unlink(missing_ok=True)
    _sync(models)


def _check_is_link(current: Path) -> None:
    if current.is_dir() and not current.is_symlink():
        raise CannotPublish(f"{current} is a folder, not a link; rename it, and set model.path if it is a model")


def _point_to(models: Path, name: str) -> None:
    """Swap the link. Its target is relative: the folder can be moved or mounted elsewhere."""
    current = models / CURRENT
    _check_is_link(current)
    half = models / f".{CURRENT}.{os.getpid()}"
    half.unlink(missing_ok=True)
    half.symlink_to(name, target_is_directory=True)
    os.replace(half, current)
    _sync(models)


def _prune(models: Path, keep: int) -> None:
    known = published(models)
    newest = [bundle for bundle in known if not bundle.withdrawn][-keep:]
    stay = {bundle.name for bundle in newest} | {bundle.name for bundle in known if bundle.live}
    for bundle in known:
        # What was rolled back goes when everything older is gone: its name tells that it was tried.
        if bundle.name not in stay and not (bundle.withdrawn and bundle.name > min(stay)):
            aside = models / f".{bundle.name}.gone"
            os.replace(bundle.path, aside)  # a reader finds a whole bundle or none
            shutil.rmtree(aside, ignore_errors=True)
    names, left = withdrawn(models), {bundle.name for bundle in published(models)}
    if not names <= left:
        _write_withdrawn(models, names & left)


def _write_withdrawn(models: Path, names: frozenset[str]) -> None:
    write_whole(models / WITHDRAWN, "".join(f"{name}\n" for name in sorted(names)).encode())


def _is_whole(place: Path) -> bool:
    try:
        load_bundle(place)
    except (BundleError, OSError):
        return False
    return True


def _clear_halves(models: Path) -> None:
    for path in models.iterdir():
        if _HALF.match(path.name):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def _sync(folder: Path) -> None:
    """Bring a rename to the disk, where the system can."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def main(
    go_back: Annotated[bool, typer.Option("--rollback", help="Make the model before the current one live.")] = False,
    chosen: Annotated[
        str | None, typer.Option("--use", metavar="NAME", help="Make this model live; starter: the one that ships.")
    ] = None,
    show: Annotated[bool, typer.Option("--list", help="Show the models that are there.")] = False,
    models: Annotated[Path | None, typer.Option(metavar="DIR", help="The models folder.", show_default=False)] = None,
    config: Annotated[Path | None, typer.Option(metavar="FILE", help="The configuration.", show_default=False)] = None,
) -> None:
    """See which models are there, go back to the one before, or choose one."""
    from store.config import load_config
    from store.errors import ConfigError

    try:
        folder = models if models is not None else load_config(config).models.dir
        if go_back:
            found = rollback(folder)
            print(f"{found.name} is live" if found else "nothing older is there: the starter model is live")
        if chosen is not None:
            found = use(folder, chosen)
            print(f"{found.name if found else 'the starter model'} is live")
        if show or not (go_back or chosen):
            _print_list(folder)
    except (PublishError, ConfigError) as error:
        print(f"publish: {error}", file=sys.stderr)
        raise typer.Exit(1) from None


def _print_list(folder: Path) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("name", "recipe", "encoder", "bits per character", "", box=None)
    table.columns[0].no_wrap = True
    for bundle in reversed(published(folder)):
        bits = "-" if bundle.facts.bits_per_char is None else f"{bundle.facts.bits_per_char:.3f}"
        state = "live" if bundle.live else "rolled back" if bundle.withdrawn else ""
        table.add_row(bundle.name, bundle.facts.recipe, bundle.facts.encoder, bits, state)
    if table.row_count:
        Console().print(table)
    else:
        print(f"{folder}: nothing is published; the starter model is live")


if __name__ == "__main__":
    typer.run(main)
