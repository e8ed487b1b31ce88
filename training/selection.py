"""The jokes of one run, on disk and mapped into memory: what is trained on stays the same however often the run is killed.

A joke costs its text and 33 bytes; nothing of it is a Python object except while it is looked at.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, overload

import numpy as np
from numpy.typing import NDArray

from bokemodel.tokenizer import Tokenizer
from store.text import text_hash
from training.corpus import Joke, VotedJoke
from training.snapshots import write_whole

FACTS, TEXTS = "selection.json", "texts.bin"
NAMES = ("ends", "picture", "stars", "ratings", "votes", "hashes", "digests", "dev", "vectors")


class StoredTexts(Sequence[str]):
    """Texts in one file, each found by where it ends."""

    def __init__(self, data: NDArray[np.uint8], ends: NDArray[np.int64]) -> None:
        self._data, self._ends = data, ends

    def __len__(self) -> int:
        return len(self._ends)

    @overload
    def __getitem__(self, index: int, /) -> str: ...
    @overload
    def __getitem__(self, index: slice, /) -> list[str]: ...
    def __getitem__(self, index: int | slice, /) -> str | list[str]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        index = range(len(self))[index]
        start = int(self._ends[index - 1]) if index else 0
        return self._data[start : int(self._ends[index])].tobytes().decode()


class PackedTokens(Sequence[NDArray[Any]]):
    """Token ids of many texts in one array."""

    def __init__(self, ids: NDArray[Any], ends: NDArray[np.int64]) -> None:
        self._ids, self._ends = ids, ends
        self.lengths: NDArray[np.int64] = np.diff(ends, prepend=0)

    def __len__(self) -> int:
        return len(self._ends)

    @overload
    def __getitem__(self, index: int, /) -> NDArray[Any]: ...
    @overload
    def __getitem__(self, index: slice, /) -> list[NDArray[Any]]: ...
    def __getitem__(self, index: int | slice, /) -> NDArray[Any] | list[NDArray[Any]]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        end = int(self._ends[index])
        return self._ids[end - int(self.lengths[index]) : end]


@dataclass(frozen=True)
class Selection:
    """Jokes in the order of their pictures.

    Attributes:
        fingerprint: SHA-256 of all that was selected.
        texts: (N,). picture: (N,) numbers of pictures. stars, ratings: (N,) NaN where unknown. votes: (N,) for minus against.
        hashes: (N,) `store.text.text_hash`.
        digests: (P,) bytes, SHA-256 of each picture in hex, or what chat knows it by. dev: (P,) is the picture held out?
        vectors: (C, dim) of the pictures from chat, which are the last C.
        facts: what the selecting program wanted to keep with it.
    """

    fingerprint: str
    texts: StoredTexts
    picture: NDArray[np.int32]
    stars: NDArray[np.float32]
    ratings: NDArray[np.float32]
    votes: NDArray[np.float32]
    hashes: NDArray[np.int64]
    digests: NDArray[np.bytes_]
    dev: NDArray[np.bool_]
    vectors: NDArray[np.float32]
    facts: dict[str, Any]

    def __len__(self) -> int:
        return len(self.texts)

    def digest(self, picture: int) -> str:
        """Of a picture, in hex."""
        return bytes(self.digests[picture]).decode()

    def contains(self) -> Callable[[str], bool]:
        """A test whether somebody wrote a text, word for word."""
        known = np.sort(self.hashes)

        def written(text: str) -> bool:
            wanted = text_hash(text)
            place = int(np.searchsorted(known, wanted))
            return place < len(known) and int(known[place]) == wanted

        return written


def write_selection(
    jokes: Iterable[Joke], voted: Iterable[VotedJoke], folder: Path, facts: Callable[[], dict[str, Any]]
) -> Selection:
    """Keep the jokes of a run in a folder, replacing what was there.

    Args:
        jokes: in the order of their pictures.
        voted: liked answers from chat, in the order of their pictures; they come after all others.
        facts: called at the end; what is to be kept with the selection.

    Raises: OSError
    """
    half = folder.with_name(f".{folder.name}.half")
    shutil.rmtree(half, ignore_errors=True)
    half.mkdir(parents=True)
    vectors: list[NDArray[np.float32]] = []
    with (half / TEXTS).open("wb") as stream:
        writer = _Writer(stream)
        for joke in jokes:
            writer.add(joke)
        writer.hold_one_out()
        for answer in voted:
            if writer.add(answer.joke):
                vectors.append(answer.vector)
    for name, values in writer.arrays(vectors).items():
        np.save(half / f"{name}.npy", values, allow_pickle=False)
    kept = {"fingerprint": writer.total.hexdigest(), "jokes": len(writer.ends), "facts": facts()}
    write_whole(half / FACTS, json.dumps(kept, ensure_ascii=False).encode())
    shutil.rmtree(folder, ignore_errors=True)
    half.rename(folder)
    found = read_selection(folder)
    assert found is not None
    return found


class _Writer:
    """Takes jokes in, one after the other."""

    def __init__(self, stream: BinaryIO) -> None:
        self.stream, self.size, self.total = stream, 0, hashlib.sha256()
        self.ends, self.picture, self.hashes = array("q"), array("i"), array("q")
        self.stars, self.ratings, self.votes = array("f"), array("f"), array("f")
        self.digests: list[bytes] = []
        self.dev: list[bool] = []

    def add(self, joke: Joke) -> bool:
        """Take a joke in; True where its picture is a new one."""
        key = joke.picture.encode()
        fresh = not self.digests or key != self.digests[-1]
        if fresh:
            self.digests.append(key)
            self.dev.append(joke.split == "dev")
        data, votes = joke.text.encode(), joke.up - joke.down
        self.stream.write(data)
        self.size += len(data)
        self.ends.append(self.size)
        self.picture.append(len(self.digests) - 1)
        self.hashes.append(text_hash(joke.text))
        self.stars.append(np.nan if joke.stars is None else joke.stars)
        self.ratings.append(np.nan if joke.ratings is None else joke.ratings)
        self.votes.append(votes)
        facts = f"{joke.picture} {joke.split} {joke.stars} {joke.ratings} {votes} {len(data)} "
        self.total.update(facts.encode() + data)
        return fresh

    def hold_one_out(self) -> None:
        """Of so few pictures that none is held out, the one with the smallest digest is: something must be measured."""
        if len(self.dev) > 1 and not any(self.dev):
            self.dev[self.digests.index(min(self.digests))] = True
            self.total.update(b"one")

    def arrays(self, vectors: list[NDArray[np.float32]]) -> dict[str, NDArray[Any]]:
        return {
            "ends": np.array(self.ends, np.int64),
            "picture": np.array(self.picture, np.int32),
            "stars": np.array(self.stars, np.float32),
            "ratings": np.array(self.ratings, np.float32),
            "votes": np.array(self.votes, np.float32),
            "hashes": np.array(self.hashes, np.int64),
            "digests": np.array(self.digests, "S64"),
            "dev": np.array(self.dev, bool),
            "vectors": np.array(vectors, np.float32) if vectors else np.empty((0, 0), np.float32),
        }


def read_selection(folder: Path) -> Selection | None:
    """The selection in a folder, or None where there is none, or not all of it."""
    try:
        kept = json.loads((folder / FACTS).read_bytes())
        loaded = {name: np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in NAMES}
        ends = loaded.pop("ends")
        if len(ends) != kept["jokes"]:
            return None
        empty = np.empty(0, np.uint8)
        data = np.memmap(folder / TEXTS, np.uint8, "r") if (folder / TEXTS).stat().st_size else empty
        if len(ends) and int(ends[-1]) != len(data):
            return None
        return Selection(kept["fingerprint"], StoredTexts(data, ends), facts=kept["facts"], **loaded)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_tokens(
    texts: Iterable[str], count: int, tokenizer: Tokenizer, folder: Path, step: Callable[[int], None]
) -> None:
    """Cut texts into units, once for a run. `step` is called now and then with how many are done. Raises: OSError"""
    kind = np.uint16 if len(tokenizer) <= 1 << 16 else np.int32
    ends, size = np.empty(count, np.int64), 0
    half = folder / ".ids.half"
    with half.open("wb") as stream:
        for number, some in enumerate(_chunks(texts)):
            ids = [tokenizer.encode(text) for text in some]
            stream.write(np.concatenate([np.array(text, kind) for text in ids]).tobytes())
            first = number * CHUNK
            lengths = np.array([len(text) for text in ids], np.int64)
            ends[first : first + len(ids)] = size + np.cumsum(lengths)
            size += int(lengths.sum())
            step(first + len(ids))
    half.rename(folder / f"ids.{np.dtype(kind).name}")
    np.save(folder / "ids-ends.npy", ends, allow_pickle=False)


def read_tokens(folder: Path, count: int) -> PackedTokens | None:
    """The units of `count` texts, or None where they are not all there."""
    try:
        ends = np.load(folder / "ids-ends.npy", mmap_mode="r", allow_pickle=False)
        (path,) = folder.glob("ids.*")
        ids = np.memmap(path, path.suffix[1:], "r")
    except (OSError, ValueError):
        return None
    return PackedTokens(ids, ends) if len(ends) == count and len(ids) == int(ends[-1]) else None


CHUNK = 10_000


def _chunks(texts: Iterable[str]) -> Iterator[list[str]]:
    some: list[str] = []
    for text in texts:
        some.append(text)
        if len(some) == CHUNK:
            yield some
            some = []
    if some:
        yield some
