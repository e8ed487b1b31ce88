"""The corpus: jokes with their pictures, for training, and `python -m training.corpus import | export | stats`.

Whatever reads it streams: memory does not grow with the number of jokes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, Select, Subquery, case, exists, func, select

from store.corpus import Split, side_of, split_of
from store.crawled import OWN_SOURCE
from store.database import Database
from store.tables import Answer, AnswerFeature, Boke, Odai, Picture, Vote

ROWS = 2000  # fetched from the database at a time
AT_ONCE = 500  # pictures asked for in one query


@dataclass(frozen=True, slots=True, kw_only=True)
class Joke:
    """A joke about a picture.

    Attributes:
        picture: the picture's digest; of a joke from chat, what the bot knows the picture by.
        stars, ratings: how people liked it where it was published, and how many they were.
        up, down: votes in chat.
        split: of the picture.
        source: the site, or the kind of file it came from.
        category, odai_category: the joke's and the picture's, as the site sorts them.
        title: words that belong to the picture.
        flagged: the site marks it as not for everybody.
    """

    picture: str
    text: str
    split: Split
    stars: float | None = None
    ratings: int | None = None
    up: int = 0
    down: int = 0
    source: str = "import"
    url: str | None = None
    category: str | None = None
    odai_category: str | None = None
    title: str | None = None
    flagged: bool = False


@dataclass(frozen=True)
class VotedJoke:
    """An answer of the bot that people voted on, with its picture's vector, float32 (dim,). The picture is not kept."""

    joke: Joke
    vector: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class StoredPicture:
    """A picture file of the corpus; `path` is relative to data.dir."""

    digest: str
    path: str


def read_jokes(database: Database, *, dev_share: float = 0.1, split: Split | None = None) -> Iterator[Joke]:
    """All jokes of the corpus that have a picture, unfiltered, a picture's jokes together.

    The order depends on pictures and texts only, not on when they came. A file's word on the split of a picture is kept
    where all that was said about that picture agrees; else the picture's hash decides.

    Args:
        dev_share: see `store.corpus.split_of`.
        split: only these.

    Raises: DatabaseUnavailable
    """
    said = _said()
    query = (
        select(
            Boke.picture_digest,
            Boke.text,
            said.c.split,
            Boke.stars,
            Boke.ratings,
            Boke.source,
            Boke.url,
            Boke.category,
            Odai.category.label("odai_category"),
            Odai.title,
            Boke.flagged,
        )
        .join(Odai, Boke.odai_id == Odai.id, isouter=True)
        .join(said, Boke.picture_digest == said.c.picture, isouter=True)
        .where(Boke.picture_digest.is_not(None))
        .order_by(Boke.picture_digest, Boke.text_hash, Boke.id)
    )
    last, of_last = "", split_of("", dev_share)
    with database.reader() as session:
        for row in session.execute(query, execution_options={"yield_per": ROWS}):
            if row.picture_digest != last:
                last = row.picture_digest
                of_last = side_of(last, row.split, dev_share)
            if split is None or split == of_last:
                yield Joke(
                    picture=row.picture_digest,
                    text=row.text,
                    split=of_last,
                    stars=row.stars,
                    ratings=row.ratings,
                    source=row.source,
                    url=row.url,
                    category=row.category,
                    odai_category=row.odai_category,
                    title=row.title,
                    flagged=row.flagged,
                )


def read_voted(
    database: Database, encoder: str, weights_digest: str, *, dev_share: float = 0.1, split: Split | None = None
) -> Iterator[VotedJoke]:
    """Answers that people voted on and whose picture's vector, of that very encoder, was kept (`privacy.store_features`).

    Raises: DatabaseUnavailable
    """
    up = func.coalesce(func.sum(case((Vote.value > 0, 1), else_=0)), 0).label("up")
    down = func.coalesce(func.sum(case((Vote.value < 0, 1), else_=0)), 0).label("down")
    votes = select(Vote.answer_id, up, down).group_by(Vote.answer_id).subquery()
    said = _said()
    columns = (Answer.picture_key, Answer.text, Answer.source_url, said.c.split, votes.c.up, votes.c.down)
    query = (
        select(*columns, AnswerFeature.vector)
        .join(votes, votes.c.answer_id == Answer.id)
        .join(AnswerFeature, AnswerFeature.answer_id == Answer.id)
        .join(said, said.c.picture == Answer.picture_key, isouter=True)
        .where(
            AnswerFeature.encoder == encoder,
            AnswerFeature.weights_digest == weights_digest,
            Answer.deleted.is_(None),
        )
        .order_by(Answer.picture_key, Answer.id)
    )
    with database.reader() as session:
        for row in session.execute(query, execution_options={"yield_per": ROWS}):
            side = side_of(row.picture_key, row.split, dev_share)
            if split is None or split == side:
                joke = Joke(
                    picture=row.picture_key,
                    text=row.text,
                    split=side,
                    up=int(row.up),
                    down=int(row.down),
                    source=OWN_SOURCE,
                    url=row.source_url,
                )
                yield VotedJoke(joke, np.frombuffer(row.vector, "<f4").astype(np.float32))


def read_addresses(database: Database, pictures: Sequence[str]) -> dict[tuple[str, str], str]:
    """Where jokes stand, as far as it is known: by picture and text. Raises: DatabaseUnavailable"""
    found: dict[tuple[str, str], str] = {}
    with database.reader() as session:
        for start in range(0, len(pictures), AT_ONCE):
            some = pictures[start : start + AT_ONCE]
            query = select(Boke.picture_digest, Boke.text, Boke.url).where(
                Boke.picture_digest.in_(some), Boke.url.is_not(None)
            )
            found |= {(row.picture_digest, row.text): row.url for row in session.execute(query)}
    return found


def read_pictures(database: Database) -> Iterator[StoredPicture]:
    """Every picture that has a joke, by digest. Raises: DatabaseUnavailable"""
    query = select(Picture.digest, Picture.path).where(_has_joke()).order_by(Picture.digest)
    with database.reader() as session:
        for row in session.execute(query, execution_options={"yield_per": ROWS}):
            yield StoredPicture(row.digest, row.path)


def count_pictures(database: Database) -> int:
    """How many `read_pictures` yields. Raises: DatabaseUnavailable"""
    return _count(database, select(func.count()).select_from(Picture).where(_has_joke()))


def count_jokes(database: Database) -> int:
    """How many `read_jokes` yields. Raises: DatabaseUnavailable"""
    return _count(database, select(func.count()).select_from(Boke).where(Boke.picture_digest.is_not(None)))


def _said() -> Subquery:
    """Pictures of which all that files say about the split agrees, and what they say."""
    return (
        select(Boke.picture_digest.label("picture"), func.min(Boke.split).label("split"))
        .where(Boke.split.is_not(None), Boke.picture_digest.is_not(None))
        .group_by(Boke.picture_digest)
        .having(func.min(Boke.split) == func.max(Boke.split))
        .subquery()
    )


def _has_joke() -> ColumnElement[bool]:
    return exists().where(Boke.picture_digest == Picture.digest)


def _count(database: Database, query: Select[Any]) -> int:
    with database.reader() as session:
        return int(session.scalars(query).one())


if __name__ == "__main__":
    from training.corpus_command import app

    app(prog_name="python -m training.corpus")
