"""The core and its database: what was told before, votes, what is kept of people and what is not, and a database in trouble."""

from __future__ import annotations

import io
import logging
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from PIL import Image
from psycopg import sql
from sqlalchemy import func, select

from bot.boke import Answer, Ask, BokeRefused, BokeService, Place
from store import answers
from store.answers import NewAnswer
from store.database import Database, open_database
from store.tables import Answer as AnswerRow
from store.tables import AnswerFeature, Base, Boke, Picture
from store.text import text_hash
from store.votes import VoteCounts
from tests.bot.conftest import MakeService, photo
from tests.bundles import LINES

pytestmark = pytest.mark.asyncio(loop_scope="session")

HERE = Place("discord", "C1", "taro", "G1", "M1", position=2)
THERE = replace(HERE, channel_id="C2")
FREE = {"cooldown_s": 0}


def count(database: Database, table: type[Base]) -> int:
    with database.reader() as session:
        return session.scalars(select(func.count()).select_from(table)).one()


def key_of(service: BokeService, answer: Answer) -> str:
    found = answers.get_answer(service.database, answer.id)
    assert found is not None
    return found.picture_key


def tell(service: BokeService, place: Place, picture_key: str, texts: Iterable[str]) -> None:
    """As if these had been said about a picture in a channel."""
    for text in texts:
        new = NewAnswer(
            platform=place.platform, channel_id=place.channel_id, picture_key=picture_key, text=text, score=0.0,
            mode="boke", model="m", encoder="e",
        )  # fmt: skip
        answers.add_answer(service.database, new)


def copies(picture: bytes) -> list[bytes]:
    """A picture saved anew in several ways."""
    made = []
    with Image.open(io.BytesIO(picture)) as image:
        for size, kind, quality in ((1.0, "PNG", 0), (0.6, "JPEG", 85), (0.5, "JPEG", 70), (0.75, "WEBP", 50)):
            file = io.BytesIO()
            scaled = image.resize((round(image.width * size), round(image.height * size)), Image.Resampling.LANCZOS)
            scaled.save(file, kind, quality=quality)
            made.append(file.getvalue())
    return made


# what was told before


async def test_the_same_picture_gets_another_joke_in_that_channel(
    make_service: MakeService, any_database: Database
) -> None:
    service = make_service(database=any_database, chat=FREE)
    told = [(await service.answer(photo(), HERE)).text for _ in range(8)]
    assert len(set(told)) == 8


async def test_a_copy_of_the_picture_is_the_same_picture_and_other_channels_do_not_count(
    make_service: MakeService, any_database: Database
) -> None:
    service = make_service(database=any_database, chat=FREE)
    original = photo("cameraman")  # of those whose likeness a copy changes by a bit or two
    key = key_of(service, await service.answer(original, THERE, Ask(seed=1)))
    told = set(LINES[::3])
    tell(service, HERE, key, told)
    for picture in [original, *copies(original)]:
        answer = await service.answer(picture, HERE)
        fresh = [c.text for c in answer.candidates if c.text not in told]
        assert answer.text == (fresh or [answer.candidates[0].text])[0]
        told.add(answer.text)
        elsewhere = await service.answer(picture, replace(HERE, channel_id="C3"), Ask(seed=1))
        assert elsewhere.text == elsewhere.candidates[0].text
    other = await service.answer(photo("coffee"), HERE)
    assert other.text == other.candidates[0].text


async def test_when_all_was_told_it_is_told_again(make_service: MakeService) -> None:
    service = make_service(chat=FREE, inference={"temperature": 0.0001, "top_p": 0.01})  # always the likeliest
    jokes = [await service.answer(photo(), HERE) for _ in range(3)]
    assert len({joke.text for joke in jokes}) == 1
    assert len({joke.id for joke in jokes}) == 3


async def test_what_is_kept_of_an_answer(make_service: MakeService, any_database: Database) -> None:
    service = make_service(database=any_database)
    answer = await service.answer(photo(), HERE, Ask(consent=True, picture_url="https://cdn.example/1.jpg"))
    kept = await service.find(answer.id)
    assert (kept.platform, kept.guild_id, kept.channel_id, kept.message_id) == ("discord", "G1", "C1", "M1")
    assert (kept.position, kept.picture_url, kept.consent) == (2, "https://cdn.example/1.jpg", True)
    assert (kept.text, kept.mode, kept.model, kept.encoder) == (answer.text, "boke", answer.model, answer.encoder)
    assert [(c.text, c.score) for c in kept.candidates] == [(c.text, c.score) for c in answer.candidates]
    assert kept.user == any_database.hash_user("discord", "taro")
    assert kept.elapsed_ms is not None
    assert await service.is_poster(kept, HERE)
    assert not await service.is_poster(kept, replace(HERE, user_id="hanako"))
    with pytest.raises(BokeRefused, match="unknown_answer"):
        await service.find("0" * 32)


async def test_another_joke_about_a_picture_is_its_posters_too(make_service: MakeService) -> None:
    service = make_service(chat=FREE)
    first = await service.answer(photo(), HERE)
    again = await service.answer(photo(), replace(HERE, user_id=""), Ask(again_of=first.id))
    kept = await service.find(again.id)
    assert kept.again_of == first.id
    assert await service.is_poster(kept, HERE)
    nobodys = await service.answer(photo(), replace(HERE, user_id=""), Ask(again_of="0" * 32))
    assert (await service.find(nobodys.id)).user is None


@pytest.mark.parametrize("store_features", [True, False])
async def test_pictures_are_never_kept_and_their_vectors_only_where_allowed(
    make_service: MakeService, any_database: Database, store_features: bool
) -> None:
    service = make_service(database=any_database, privacy={"store_features": store_features})
    await service.answer(photo(), HERE)
    assert count(any_database, AnswerFeature) == store_features
    pieces = [photo()[start : start + 32] for start in range(0, 20_000, 500)]
    with any_database.reader() as session:
        rows = [row for table in Base.metadata.sorted_tables for row in session.execute(select(table))]
        values = [value for row in rows for value in row]
        vectors = session.scalars(select(AnswerFeature.vector)).all()
    blobs = [value for value in values if isinstance(value, bytes)]
    assert [len(vector) for vector in vectors] == ([1280 * 4] if store_features else [])
    assert sorted(blobs) == sorted(vectors)
    assert not any(piece in blob for piece in pieces for blob in blobs)
    assert "taro" not in {value for value in values if isinstance(value, str)}


# votes


async def test_votes_change_and_are_taken_back(make_service: MakeService, any_database: Database) -> None:
    service = make_service(database=any_database)
    answer, hanako = (await service.answer(photo(), HERE)).id, replace(HERE, user_id="hanako")
    assert await service.vote(answer, HERE, 1) == VoteCounts(1, 0)
    assert await service.vote(answer, HERE, 1) == VoteCounts(1, 0)
    assert await service.vote(answer, hanako, 1) == VoteCounts(2, 0)
    assert await service.vote(answer, HERE, -1) == VoteCounts(1, 1)
    assert await service.vote(answer, HERE, 0) == VoteCounts(1, 0)
    assert await service.press(answer, HERE, 1) == VoteCounts(2, 0)
    assert await service.press(answer, HERE, -1) == VoteCounts(1, 1)
    assert await service.press(answer, HERE, -1) == VoteCounts(1, 0)
    assert await service.unvote(answer, hanako, -1) == VoteCounts(1, 0)  # it was changed since
    assert await service.unvote(answer, hanako, 1) == VoteCounts(0, 0)
    for change in (service.vote, service.press, service.unvote):
        with pytest.raises(BokeRefused, match="unknown_answer"):
            await change("0" * 32, HERE, 1)


# people


async def test_a_person_is_forgotten_and_others_are_not(make_service: MakeService, any_database: Database) -> None:
    service = make_service(database=any_database, chat=FREE, privacy={"store_features": True})
    hanako = replace(HERE, user_id="hanako")
    his, hers = await service.answer(photo(), HERE), await service.answer(photo(), hanako)
    await service.vote(his.id, hanako, 1)
    await service.vote(hers.id, HERE, 1)
    await service.vote(hers.id, hanako, 1)
    gone = await service.forget(HERE)
    assert (gone.answers, gone.votes) == (1, 1)
    with pytest.raises(BokeRefused, match="unknown_answer"):
        await service.find(his.id)
    assert await service.vote(hers.id, replace(HERE, user_id="jiro"), -1) == VoteCounts(1, 1)
    assert (count(any_database, AnswerRow), count(any_database, AnswerFeature)) == (1, 1)
    again = await service.forget(HERE)
    assert (again.answers, again.votes) == (0, 0)
    assert (await service.forget(replace(hanako, platform="slack"))).answers == 0


async def test_who_opts_out_is_left_alone_until_they_come_back(
    make_service: MakeService, any_database: Database
) -> None:
    service = make_service(database=any_database)
    assert not await service.opted_out(HERE)
    await service.opt_out(HERE)
    await service.opt_out(HERE)
    assert await service.opted_out(THERE)
    assert not await service.opted_out(replace(HERE, user_id="hanako"))
    await service.forget(HERE)
    assert await service.opted_out(HERE)
    await service.opt_out(HERE, False)
    assert not await service.opted_out(HERE)


# somebody's jokes


def know(
    database: Database, texts: Iterable[str], source: str = "bokete", url: str | None = "https://b/boke/{}"
) -> None:
    """Put jokes into the corpus."""
    with database.session() as session:
        session.merge(Picture(digest="d" * 64, path="d.jpg", width=1, height=1, bytes=1))
        session.flush()
        for number, text in enumerate(texts):
            address = url.format(number) if url else None
            row = Boke(source=source, picture_digest="d" * 64, text=text, text_hash=text_hash(text), url=address)
            session.add(row)


async def offered(service: BokeService, mode: str = "boke") -> Answer:
    return await service.answer(photo(), HERE, Ask(mode=mode, seed=3))


@pytest.mark.parametrize("source", ["bokete", "imported"])
async def test_somebodys_joke_word_for_word_is_dropped(
    make_service: MakeService, any_database: Database, source: str
) -> None:
    service = make_service(database=any_database, chat=FREE)
    before = [c.text for c in (await offered(service)).candidates]
    dressed = [f"「{text.replace('。', '！')}」" for text in before[:3]]  # reads the same
    know(any_database, [*dressed, before[5], before[6] + "よ"], source)
    answer = await offered(service)
    assert answer.text == before[3]
    assert [c.text for c in answer.candidates] == [text for text in before[3:] if text != before[5]]
    assert answer.source_url is None


async def test_somebodys_joke_may_be_shown_with_its_source(make_service: MakeService, any_database: Database) -> None:
    service = make_service(database=any_database, chat=FREE, filter={"crawled_jokes": "source"})
    before = [c.text for c in (await offered(service)).candidates]
    know(any_database, [before[0], before[1]])
    answer = await offered(service)
    assert (answer.text, answer.source_url) == (before[0], "https://b/boke/0")
    assert [c.text for c in answer.candidates] == [before[0], *before[2:]]
    assert (await service.find(answer.id)).source_url == "https://b/boke/0"


@pytest.mark.parametrize("url", [None, "javascript:alert(1)", "https://b/<@everyone>", "https://b/ b"])
async def test_a_joke_whose_source_cannot_be_named_is_dropped(make_service: MakeService, url: str | None) -> None:
    service = make_service(chat=FREE, filter={"crawled_jokes": "source"})
    first = (await offered(service)).text
    know(service.database, [first], url=url)
    answer = await offered(service)
    assert answer.text != first
    assert answer.source_url is None
    know(service.database, [first], url="https://b/boke/7")
    assert (await offered(service)).source_url == "https://b/boke/7"


async def test_the_bots_own_jokes_and_the_way_of_2016_are_not_held_back(make_service: MakeService) -> None:
    service = make_service(chat=FREE)
    usual, article = (await offered(service)).text, (await offered(service, "article")).text
    know(service.database, [usual], source="chat")
    assert (await offered(service)).text == usual
    know(service.database, [article])
    assert (await offered(service, "article")).text == article


async def test_when_everything_is_somebodys_it_says_so(make_service: MakeService) -> None:
    service = make_service(chat=FREE)
    know(service.database, LINES)
    with pytest.raises(BokeRefused, match="speechless"):
        await service.answer(photo(), HERE)


# a database in trouble


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


async def test_with_the_database_locked_a_picture_is_answered(
    make_service: MakeService, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    service = make_service(database=open_database(f"sqlite:///{tmp_path / 'b.db'}", busy_timeout_s=0.1), chat=FREE)
    told = await service.answer(photo(), HERE)
    with closing(sqlite3.connect(tmp_path / "b.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        answer = await service.answer(photo(), HERE)
        assert answer.text != told.text  # reading works
        assert answer.id == ""
    (line,) = lines(caplog)
    assert line.startswith("an answer could not be kept: sqlite:///")
    assert line.endswith("b.db: another process keeps it locked; try again in a moment")
    assert (await service.answer(photo(), HERE)).id
    service.database.close()


@contextmanager
def gone(database: Database) -> Iterator[None]:
    """The database is no more while the block runs, and nothing of it is left afterwards."""
    url = database.engine.url
    if database.dialect == "sqlite":
        database.close()
        for file in Path(str(url.database)).parent.glob(f"{Path(str(url.database)).name}*"):
            file.write_bytes(b"not a database" * 100)
        yield
        return
    admin = url.set(drivername="postgresql", database="postgres").render_as_string(hide_password=False)
    name = sql.Identifier(str(url.database))
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))
        yield
        connection.execute(sql.SQL("CREATE DATABASE {}").format(name))


async def test_with_the_database_gone_a_picture_is_answered(
    make_service: MakeService, any_database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    service = make_service(database=any_database, chat=FREE)
    await service.answer(photo(), HERE)
    with gone(any_database):
        answer = await service.answer(photo(), HERE)
        assert answer.text in LINES
        assert answer.id == ""
        (line,) = lines(caplog)
        assert line.startswith("a picture is answered without looking back, nor kept: ")
        assert "not-for-print" not in line
        assert await service.opted_out(HERE)  # rather too shy than rude
