"""Pictures with jokes, straight into the database."""

from __future__ import annotations

from typing import Any

from store.database import Database
from store.tables import Boke, Picture
from store.text import text_hash


def digest(number: int) -> str:
    return f"{number:064x}"


def keep(database: Database, number: int, *jokes: dict[str, Any], **facts: Any) -> None:
    """A picture, of which `facts` say more, with its jokes."""
    picture = {"path": f"pictures/{number}.jpg", "width": 3, "height": 2, "bytes": 1, **facts}
    with database.session() as session:
        session.add(Picture(digest=digest(number), **picture))
        session.flush()
        for joke in jokes:
            values = {"source": "import", "text": "ボケ", **joke}
            session.add(Boke(picture_digest=digest(number), text_hash=text_hash(values["text"]), **values))
