"""Pictures of the corpus as the network sees them; decoded in a process of its own, a file that its reader does not survive costs
that process only.

    python -m training.decoding

is that process. It is asked on stdin and answers on stdout, and ends with them: none is left over where the night is killed. What
runs there needs little, so that it starts in a fraction of a second.
"""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO

from PIL import Image

from bokemodel.encoders.base import fit
from bokemodel.errors import PictureError
from bokemodel.pictures import open_picture

ROOT = Path(__file__).resolve().parents[1]
PATIENCE_S = 120.0  # with one picture; the slowest known takes 12 s
_QUESTION = struct.Struct("<IQQ")  # the network's size, the most pixels, bytes of the file that follows
_ANSWER = struct.Struct("<?I")  # is there a picture?, bytes of its pixels or of the reason that follow


class DecoderDied(Exception):
    """The process died of a picture, or did not come to an end with it."""


def open_fitted(data: bytes, size: int, max_pixels: int) -> Image.Image:
    """A picture file's bytes to the picture as the network sees it. Raises PictureError."""
    # Encoders fit a picture themselves and leave a fitted one alone; done here, a batch of huge ones stays small.
    return Image.fromarray(fit(open_picture(data, max_pixels=max_pixels, short_side=size), size))


class Decoder:
    """`open_fitted` in a process of its own, which starts with the first picture, and again after one that it died of."""

    def __init__(self, module: str = __name__) -> None:
        """module: what the process runs."""
        self._module = module
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()  # `close` may come while another thread decodes
        self._closed = False

    def open_fitted(self, data: bytes, size: int, max_pixels: int) -> Image.Image:
        """For one thread at a time. Raises: PictureError, DecoderDied; OSError where there can be no process."""
        process = self._started()
        assert process.stdin is not None
        assert process.stdout is not None
        late = threading.Timer(PATIENCE_S, process.kill)
        late.start()
        try:
            process.stdin.write(_QUESTION.pack(size, max_pixels, len(data)))
            process.stdin.write(data)
            process.stdin.flush()
            whole, length = _ANSWER.unpack(_read(process.stdout, _ANSWER.size))
            content = _read(process.stdout, length)
        except (EOFError, BrokenPipeError, ValueError):  # ValueError: a pipe was closed meanwhile
            raise DecoderDied(_ended(self._forget(process))) from None
        finally:
            late.cancel()
        if not whole:
            raise PictureError(content.decode())
        return Image.frombytes("RGB", (size, size), content)

    def close(self) -> None:
        """End the process, at once; what it is asked just now ends in DecoderDied."""
        with self._lock:
            self._closed = True
            process = self._process
            if process is not None:
                process.kill()
                process.wait()
                _close(process.stdin)
                _close(process.stdout)

    def _started(self) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._closed:
                raise DecoderDied("it is closed")
            if self._process is None:
                command = [sys.executable, "-m", self._module]
                self._process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            return self._process

    def _forget(self, process: subprocess.Popen[bytes]) -> int:
        with self._lock:
            self._process = None
        process.kill()
        _close(process.stdin)
        _close(process.stdout)
        return process.wait()


def _ended(code: int) -> str:
    try:
        return f"its process ended with {signal.Signals(-code).name if code < 0 else code}"
    except ValueError:
        return f"its process ended with signal {-code}"


def _close(pipe: IO[bytes] | None) -> None:
    try:
        if pipe is not None:
            pipe.close()
    except BrokenPipeError:  # what was not sent yet
        pass


def _read(stream: IO[bytes], length: int) -> bytes:
    data = stream.read(length)
    if len(data) < length:
        raise EOFError
    return data


def serve() -> None:
    """Answer until stdin ends."""
    # Ctrl-C and a service manager's SIGTERM reach the whole group: the night decides when this ends.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whatever a library prints is no answer
    while header := sys.stdin.buffer.read(_QUESTION.size):
        try:
            size, max_pixels, length = _QUESTION.unpack(header)
            data = _read(sys.stdin.buffer, length)
        except (struct.error, EOFError):  # whoever asked is gone
            return
        try:
            whole, content = True, open_fitted(data, size, max_pixels).tobytes()
        except PictureError as error:
            whole, content = False, str(error).encode()
        try:
            answers.write(_ANSWER.pack(whole, len(content)) + content)
            answers.flush()
        except BrokenPipeError:
            os._exit(0)


if __name__ == "__main__":
    serve()
