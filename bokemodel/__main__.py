"""`python -m bokemodel IMAGE...`: a line per picture, path TAB boke."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from bokemodel.errors import BokeModelError, PictureError
from bokemodel.modes import BOKE, MODES

BATCH = 16  # pictures decoded and answered together


def main(
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE...", help="Picture files.", show_default=False)],
    n: Annotated[int, typer.Option("-n", min=1, help="Jokes for each picture.")] = 1,
    model: Annotated[Path | None, typer.Option(metavar="DIR", help="A trained model's folder.")] = None,
    mode: Annotated[str, typer.Option(help=f"Way of answering: {', '.join(MODES)}.")] = BOKE,
    seed: Annotated[int | None, typer.Option(help="Same seed, same answers.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per picture.")] = False,
    weights: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The encoder's weights, such as a .caffemodel.")
    ] = None,
) -> None:
    """Say something funny about pictures. Exit code 2 where a file was no picture; the others are answered all the same."""
    from bokemodel.model import BokeModel
    from bokemodel.pictures import open_file

    try:
        boke_model = BokeModel.load(model, path=weights) if weights else BokeModel.load(model)
        boke_model.check_mode(mode)
    except BokeModelError as error:
        _complain(str(error))
        raise typer.Exit(1) from None
    failed = False
    for start in range(0, len(images), BATCH):
        opened = []
        for path in images[start : start + BATCH]:
            try:
                opened.append((path, open_file(path, short_side=boke_model.encoder.input_size)))
            except (PictureError, OSError) as error:
                failed = True
                _complain(f"{path}: {error.strerror if isinstance(error, OSError) else error}")
        answers = boke_model.boke([picture for _, picture in opened], n, mode, seed)
        for (path, _), jokes in zip(opened, answers, strict=True):
            if as_json:
                found = [
                    {"text": joke.text, "score": joke.score, **({"source": joke.source} if joke.source else {})}
                    for joke in jokes
                ]
                print(json.dumps({"image": str(path), "boke": found}, ensure_ascii=False), flush=True)
            else:
                for joke in jokes:
                    print(f"{path}\t{joke.text}", flush=True)
    if failed:
        raise typer.Exit(2)


def _complain(message: str) -> None:
    print(f"bokemodel: {message}", file=sys.stderr)


if __name__ == "__main__":
    typer.run(main)
