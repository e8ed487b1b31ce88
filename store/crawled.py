"""Whose joke is this? Answers that are in the corpus word for word, and where their authors posted them."""

from __future__ import annotations

import re
from collections.abc import Iterable

from sqlalchemy import select

from store.database import Database
from store.tables import Boke
from store.text import normalise, text_hash

OWN_SOURCE = "chat"  # the bot's own jokes, that people voted on and that came back with an export
_ADDRESS = re.compile(r"https?://[^\s<>|\"'`\\^{}]{1,2000}", re.IGNORECASE)


def find_known(database: Database, texts: Iterable[str]) -> dict[str, str | None]:
    """Which of these texts are somebody's joke, each with its address there; None where no address is known.

    "Word for word" is as `store.text.normalise` reads: width, case and punctuation make no other joke. One query.
    Raises: DatabaseError
    """
    wanted: dict[int, list[str]] = {}
    for text in texts:
        wanted.setdefault(text_hash(text), []).append(text)
    if not wanted:
        return {}
    rows = (
        select(Boke.text_hash, Boke.text, Boke.url)
        .where(Boke.text_hash.in_(wanted), Boke.source != OWN_SOURCE)
        .order_by(Boke.missing_since.is_not(None), Boke.id)  # the first to tell it, of those that still stand there
    )
    found: dict[str, str | None] = {}
    with database.reader() as session:
        for known_hash, known_text, url in session.execute(rows):
            address = url if url and _ADDRESS.fullmatch(url) else None
            for text in wanted[known_hash]:
                if normalise(text) == normalise(known_text):
                    found[text] = found.get(text) or address
    return found
