"""Files that encoders keep for themselves: where they go, how they are written whole or not at all, their digests."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

ABANDONED_S = 3600.0  # a temporary file this old belongs to a process that was killed


def cache_folder() -> Path:
    """The user's folder for what can be made again: `$XDG_CACHE_HOME/bokemodel` or `~/.cache/bokemodel`; may not exist."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    if os.path.isabs(base):
        return Path(base) / "bokemodel"
    try:
        return Path.home() / ".cache" / "bokemodel"
    except RuntimeError:  # no HOME and no entry in the user database, as in some containers
        return Path(tempfile.gettempdir()) / f"bokemodel-{os.getuid() if hasattr(os, 'getuid') else 'user'}"


def sha256_of(path: Path) -> str:
    """SHA-256 (hex) of a file. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file so that others see all of it or nothing. Makes the folder. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.tmp-", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def folder_written_atomically(path: Path) -> Iterator[Path]:
    """Give a temporary folder to fill; when the block ends without an error, it becomes `path` in place of what was there.

    Where two processes do this at once, the last one stays, and what the other has open remains readable. Raises OSError.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(path)
    temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.tmp-", dir=path.parent))
    try:
        yield temporary
        os.chmod(temporary, 0o755)
        _replace_folder(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextlib.contextmanager
def held_for_one_process(path: Path) -> Iterator[None]:
    """Let one process at a time into the block, by a lock on an existing file, which only needs to be readable.

    Where the system or the file system knows no such locks, all come in at once.
    """
    with contextlib.ExitStack() as held:
        with contextlib.suppress(ImportError, OSError):
            import fcntl

            fcntl.flock(held.enter_context(path.open("rb")), fcntl.LOCK_EX)
        yield


def _replace_folder(new: Path, path: Path) -> None:
    """A folder with something in it cannot be renamed over: the old one is moved aside first."""
    for _attempt in range(10):
        with contextlib.suppress(FileNotFoundError):
            old = Path(tempfile.mkdtemp(prefix=f".{path.name}.tmp-", dir=path.parent))
            try:
                os.rename(path, old)
            finally:
                shutil.rmtree(old, ignore_errors=True)
        try:
            os.rename(new, path)
        except OSError:
            if not path.is_dir():
                raise
        else:
            return
    raise FileExistsError(f"{path} is being replaced by many processes at once")


def _remove_abandoned(path: Path) -> None:
    for left in path.parent.glob(f".{path.name}.tmp-*"):
        with contextlib.suppress(OSError):
            if time.time() - left.stat().st_mtime > ABANDONED_S:
                shutil.rmtree(left) if left.is_dir() else left.unlink()
