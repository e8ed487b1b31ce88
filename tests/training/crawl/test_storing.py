"""From parsed pages to the corpus."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import select

from store.database import Database
from store.tables import Boke, Odai
from tests.servers.bokete.world import FIRST_DAY
from training.crawl.parsed import Page, ParsedBoke, ParsedOdai
from training.crawl.storing import Stored, store_page, store_picture
from training.pictures import KeptPicture

NAME = "0123456789abcdef0123456789abcdef"


def photo(size: int, name: str = NAME) -> str:
    return f"https://cdn.example/photo/odai/{size}/{name}_{size}.jpg"


def page(*entries: tuple[ParsedOdai, ParsedBoke]) -> Page:
    return Page(
        "https://bokete.jp/boke/hot", "list", 3, tuple(odai for odai, _ in entries), tuple(boke for _, boke in entries)
    )


def store(database: Database, stored: Page, days: float = 0) -> Stored:
    moment = FIRST_DAY + timedelta(days=days)
    with database.session() as session:
        return store_page(session, stored, moment, base_url="https://bokete.jp", night=moment)


def test_what_a_page_does_not_say_stays(any_database: Database) -> None:
    odai = ParsedOdai("1", photo(400), category="動物", title="駅前", boke_count=3, posted=FIRST_DAY)
    full = ParsedBoke("5", "1", "むちゃぶり", 12, 4, "バカ", posted=FIRST_DAY, last_rated=FIRST_DAY)
    first = store(any_database, page((odai, full)))
    assert (first.new_odai, first.new_boke, first.updated_boke, first.fresh) == (1, 1, 0, 1)
    second = store(any_database, page((ParsedOdai("1"), ParsedBoke("5", "1", "むちゃぶり！", 15))), days=1)
    assert (second.new_odai, second.new_boke, second.updated_boke, second.fresh) == (0, 0, 1, 0)
    with any_database.reader() as session:
        row = session.scalars(select(Odai)).one()
        assert (row.category, row.title, row.boke_count, row.posted) == ("動物", "駅前", 3, FIRST_DAY)
        assert (row.picture_url, row.last_seen) == (photo(400), FIRST_DAY + timedelta(days=1))
        boke = session.scalars(select(Boke)).one()
        assert (boke.text, boke.stars, boke.ratings, boke.category) == ("むちゃぶり！", 15.0, 4, "バカ")
        assert (boke.posted, boke.first_seen, boke.refreshed) == (FIRST_DAY, FIRST_DAY, FIRST_DAY + timedelta(days=1))
        assert boke.url == "https://bokete.jp/boke/5"


def test_one_picture_in_three_sizes_is_one(any_database: Database) -> None:
    entries = [
        (ParsedOdai(str(n), photo(size)), ParsedBoke(str(n), str(n), f"ボケ{n}")) for n, size in enumerate((240, 600))
    ]
    first = store(any_database, page(*entries))
    assert len(first.pictures) == 1
    digest = "a" * 64
    with any_database.session() as session:
        kept = KeptPicture(digest, "pictures/aa/x.jpg", 4, 3, 100)
        store_picture(session, any_database, first.pictures[0], kept, FIRST_DAY)
    later = store(any_database, page((ParsedOdai("9", photo(400)), ParsedBoke("9", "9", "あとから"))))
    other = store(any_database, page((ParsedOdai("10", photo(400, "f" * 32)), ParsedBoke("10", "10", "べつの"))))
    assert later.pictures == ()  # there already
    assert other.pictures == (photo(400, "f" * 32),)
    with any_database.reader() as session:
        digests = dict(session.execute(select(Boke.external_id, Boke.picture_digest)).all())  # type: ignore[arg-type]
    assert digests == {"0": digest, "1": digest, "9": digest, "10": None}


def test_a_picture_without_its_odai_gives_way_to_the_odai(any_database: Database) -> None:
    nameless = (ParsedOdai(f"photo-{NAME}", photo(400)), ParsedBoke("5", f"photo-{NAME}", "むちゃぶり", 1))
    named = (ParsedOdai("1", photo(600)), ParsedBoke("5", "1", "むちゃぶり", 2))

    def place() -> tuple[str, float | None]:
        with any_database.reader() as session:
            boke = session.scalars(select(Boke)).one()
            assert boke.odai is not None
            return boke.odai.external_id, boke.stars

    store(any_database, page(nameless))
    assert place() == (f"photo-{NAME}", 1.0)
    store(any_database, page(named))
    assert place() == ("1", 2.0)
    again = (nameless[0], ParsedBoke("5", f"photo-{NAME}", "むちゃぶり", 3))
    assert store(any_database, page(again)).jokes == ("5",)
    assert place() == ("1", 3.0)


def test_texts_that_are_too_long_for_their_column(any_database: Database) -> None:
    odai = ParsedOdai("1", photo(400) + "?" + "x" * 600, category="分" * 100)
    result = store(any_database, page((odai, ParsedBoke("5", "1", "長" * 5000, category="類" * 100))))
    assert result.pictures == ()
    with any_database.reader() as session:
        boke = session.scalars(select(Boke)).one()
        assert (len(boke.text), len(boke.category or "")) == (5000, 64)
