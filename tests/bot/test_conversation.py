"""What every chat does with a post: whom it answers unasked, once, how often, and what it says."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime
from datetime import time as clock
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from bot.boke import Ask, BokeRefused, Place
from bot.conversation import ChannelRules, Conversation, Post, PostedPicture, Said, in_hours
from store.database import Database, open_database
from store.votes import vote_counts
from tests.bot.conftest import MakeService, photo
from tests.bundles import LINES

pytestmark = pytest.mark.asyncio(loop_scope="session")

ROOT = Path(__file__).resolve().parents[2]
HERE = Place("discord", "C1", "taro", "G1", "M1")
HANAKO = replace(HERE, user_id="hanako")
ON = {"enabled_channels": ["C1"]}


def picture(data: bytes | Exception = photo(), **values: Any) -> PostedPicture:
    async def fetch() -> bytes:
        if isinstance(data, Exception):
            raise data
        return data

    return PostedPicture(fetch, **values)


def post(place: Place = HERE, *pictures: PostedPicture, **values: Any) -> Post:
    return Post(place, pictures or (picture(),), values.pop("event_id", "e1"), **values)


async def said(talk: Conversation, post: Post, ask: Ask = Ask()) -> list[Said]:
    return [one async for one in talk.reply(post, ask)]


@pytest.fixture
def make_talk(make_service: MakeService) -> Callable[..., Conversation]:
    """Makes a conversation over the shared worker; arguments as `make_service`."""
    return lambda **sections: Conversation(make_service(**sections))


MakeTalk = Callable[..., Conversation]


# whom it answers unasked


@pytest.mark.parametrize(
    ("chat", "place", "expected"),
    [
        ({}, HERE, False),  # nowhere, unless somebody enables it
        ({"enabled_channels": ["C1"]}, HERE, True),
        ({"enabled_channels": ["C2"]}, HERE, False),
        ({"enabled_channels": ["*"]}, HERE, True),
        ({"enabled_channels": ["C0"]}, replace(HERE, parent_id="C0"), True),  # a thread of that channel
        ({"enabled_channels": ["C1"]}, replace(HERE, parent_id="C0"), True),  # that very thread
        ({"enabled_channels": ["C1"], "automatic": False}, HERE, False),
        ({"enabled_channels": ["C1"], "probability": 0}, HERE, False),
    ],
)
async def test_where_it_answers(make_talk: MakeTalk, chat: dict[str, Any], place: Place, expected: bool) -> None:
    talk = make_talk(chat=chat)
    assert await talk.wants(post(place)) is expected
    assert await talk.wants(post(place, asked=True))
    assert not await talk.wants(Post(place, (), "e1", asked=True))


async def test_what_moderators_choose_counts_more(make_talk: MakeTalk, any_database: Database) -> None:
    talk = make_talk(database=any_database)
    assert (await talk.change_rules(HERE, enabled=True)).enabled
    assert await talk.wants(post())
    assert await talk.wants(post(replace(HERE, channel_id="T1", parent_id="C1")))
    assert not await talk.wants(post(replace(HERE, platform="slack")))
    thread = replace(HERE, channel_id="T1", parent_id="C1")
    assert not (await talk.change_rules(thread, automatic=False)).automatic
    assert not await talk.wants(post())
    rules = await talk.change_rules(HERE, automatic=None, cooldown_s=60.0, language="en", card=True)
    assert rules == ChannelRules(True, True, 1.0, 60.0, "", "", True, "en")


async def test_who_opted_out_is_answered_only_when_they_ask(make_talk: MakeTalk) -> None:
    talk = make_talk(chat=ON)
    await talk.service.opt_out(HERE)
    assert not await talk.wants(post())
    assert await talk.wants(post(HANAKO))
    assert await talk.wants(post(asked=True))
    answers = await said(talk, post(asked=True))
    assert [one.answer is not None for one in answers] == [True]


async def test_nobody_can_ask_about_the_pictures_of_who_opted_out(make_talk: MakeTalk) -> None:
    talk = make_talk(chat=ON)
    await talk.service.opt_out(HERE)
    (one,) = await said(talk, post(asked=True, asked_by="hanako"))
    assert one.text("ja") == "この方の写真には触れない約束になっています。"
    await talk.service.opt_out(HERE, False)
    (one,) = await said(talk, post(asked=True, asked_by="hanako"))
    assert one.text("ja") in LINES


async def test_how_often(make_talk: MakeTalk) -> None:
    talk = make_talk(chat={**ON, "probability": 0.5})
    wanted = sum([await talk.wants(post()) for _ in range(200)])
    assert 50 < wanted < 150  # outside of it once in 10^12


# not too often


async def test_a_person_waits_between_two_answers_in_a_channel(make_talk: MakeTalk) -> None:
    talk = make_talk(chat=ON | {"enabled_channels": ["*"], "cooldown_s": 3600})
    await said(talk, post())
    assert not await talk.wants(post())
    assert await talk.wants(post(HANAKO))
    assert await talk.wants(post(replace(HERE, channel_id="C2")))
    assert await talk.wants(post(replace(HERE, platform="slack")))
    assert await talk.wants(post(asked=True))
    await talk.change_rules(HERE, cooldown_s=0.0)
    assert await talk.wants(post())


async def test_a_picture_without_an_answer_starts_no_wait(make_talk: MakeTalk) -> None:
    talk = make_talk(chat={**ON, "cooldown_s": 3600})
    await said(talk, post(HERE, picture(b"hello")))
    assert await talk.wants(post())


async def test_cooldown_0_in_the_configuration_switches_every_limit_off(make_talk: MakeTalk) -> None:
    talk = make_talk(
        chat={**ON, "cooldown_s": 0, "user_per_minute": 1, "channel_per_minute": 1, "global_per_minute": 1}
    )
    await talk.change_rules(HERE, cooldown_s=3600.0)
    for _ in range(3):
        assert await talk.wants(post())
        assert [one.refusal for one in await said(talk, post())] == [None]


@pytest.mark.parametrize(
    ("now", "start", "end", "quiet"),
    [
        ("23:00", "23:00", "07:00", True),
        ("22:59", "23:00", "07:00", False),
        ("00:00", "23:00", "07:00", True),
        ("06:59", "23:00", "07:00", True),
        ("07:00", "23:00", "07:00", False),
        ("12:00", "11:30", "13:00", True),
        ("13:00", "11:30", "13:00", False),
        ("23:59", "22:00", "24:00", True),
        ("00:00", "22:00", "24:00", False),
        ("05:00", "05:00", "05:00", False),
    ],
)
async def test_hours(now: str, start: str, end: str, quiet: bool) -> None:
    assert in_hours(clock.fromisoformat(now), start, end) is quiet


@pytest.mark.parametrize("by_moderators", [False, True])
async def test_quiet_hours(make_talk: MakeTalk, by_moderators: bool) -> None:
    zone = "Etc/GMT+12"  # not the machine's
    there = datetime.now(ZoneInfo(zone)).hour
    noisy = {**ON, "timezone": zone}
    around, opposite = ((f"{(there + n) % 24:02}:00", f"{(there + n + 3) % 24:02}:00") for n in (-1, 10))
    for (start, end), wanted in ((around, False), (opposite, True)):
        talk = make_talk(chat=noisy if by_moderators else {**noisy, "quiet_hours": f"{start}-{end}"})
        if by_moderators:
            await talk.change_rules(HERE, quiet_from=start, quiet_to=end)
        assert await talk.wants(post()) is wanted
        assert await talk.wants(post(asked=True))


# once


async def test_a_post_is_claimed_once_and_can_be_given_back(make_talk: MakeTalk, any_database: Database) -> None:
    talk, other = make_talk(database=any_database), make_talk(database=any_database)
    assert [await talk.claim(post()), await talk.claim(post()), await other.claim(post())] == [True, False, False]
    assert await talk.claim(post(event_id="e2"))
    assert await talk.claim(post(replace(HERE, channel_id="C2")))
    assert await talk.claim(post(replace(HERE, platform="slack")))
    await other.unclaim(post())
    assert await talk.claim(post())


CLAIM = """
import asyncio, sys
from bot.boke import BokeService, Place
from bot.conversation import Conversation, Post
from bot.inference import EngineSettings, Inference
from bot.worker import ModelPlace
from store.config import Config
from store.database import open_database

async def claim(database):
    service = BokeService(Config(), Inference(EngineSettings(), ModelPlace()), database)
    talk = Conversation(service)
    place = Place("slack", "C1", "taro")
    print("ready", flush=True)
    sys.stdin.readline()
    for number in range(100):
        if await talk.claim(Post(place, (), str(number))):
            print(number, flush=True)
    service.close()

asyncio.run(claim(open_database(sys.argv[1])))
"""


async def test_of_two_processes_one_claims_each_post(any_database_url: str) -> None:
    open_database(any_database_url).close()
    pipes: dict[str, Any] = {"stdin": asyncio.subprocess.PIPE, "stdout": asyncio.subprocess.PIPE}
    both = [
        await asyncio.create_subprocess_exec(sys.executable, "-c", CLAIM, any_database_url, cwd=ROOT, **pipes)
        for _ in range(2)
    ]
    for one in both:
        assert one.stdout is not None
        assert await one.stdout.readline() == b"ready\n"
    claimed = [(await one.communicate(b"go\n"))[0].split() for one in both]
    assert sorted(int(number) for numbers in claimed for number in numbers) == list(range(100))
    assert [one.returncode for one in both] == [0, 0]


# what it says


async def test_each_picture_is_answered_in_turn_up_to_the_limit(make_talk: MakeTalk) -> None:
    talk = make_talk(chat={**ON, "max_pictures_per_message": 3, "cooldown_s": 0})
    many = post(HERE, picture(url="u0"), picture(b"hello"), picture(photo("coffee"), url="u2", spoiler=True), picture())
    answers = await said(talk, many)
    assert [one.position for one in answers] == [0, 1, 2]
    assert [one.text("ja") in LINES for one in answers] == [True, False, True]
    assert answers[1].text("en").startswith("I can't read this format.")
    assert [one.spoiler for one in answers] == [False, False, True]
    kept = await talk.answers_to(HERE, "M1")
    assert [(answer.position, answer.picture_url) for answer in kept] == [(0, "u0"), (2, "u2")]


async def test_a_limit_is_mentioned_only_to_who_asked(make_talk: MakeTalk) -> None:
    talk = make_talk(chat={**ON, "user_per_minute": 1})
    await said(talk, post())
    assert await said(talk, post()) == []
    (one,) = await said(talk, post(asked=True))
    assert one.text("ja").startswith("ネタが追いつきません。")
    (one,) = await said(talk, post(asked=True, asked_by="hanako"))  # counts as hers
    assert one.answer is not None


async def test_a_picture_that_cannot_be_fetched_is_said(make_talk: MakeTalk) -> None:
    talk = make_talk(chat=ON)
    (one,) = await said(talk, post(HERE, picture(BokeRefused("not_fetched"))))
    assert one.text("ja") == "写真を取りに行けませんでした。もう一度送ってみてください。"


async def test_a_card_comes_along_where_the_channel_wants_it(make_talk: MakeTalk) -> None:
    talk = make_talk(chat=ON | {"cooldown_s": 0}, card={"width": 200})
    (one,) = await said(talk, post())
    assert one.card is None
    await talk.change_rules(HERE, card=True)
    (one,) = await said(talk, post())
    assert one.card is not None
    assert one.card.startswith(b"\x89PNG")
    assert await talk.card(b"hello", "猫") is None


# afterwards


async def test_messages_reactions_and_deletions(make_talk: MakeTalk, any_database: Database) -> None:
    talk = make_talk(database=any_database, chat=ON)
    (one,) = await said(talk, post())
    assert one.answer is not None
    await talk.sent(one.answer, "R1")
    for person, value, taken_back in ((HERE, 1, False), (HANAKO, -1, False), (HERE, 1, True)):
        await talk.reacted(person, "R1", value, taken_back=taken_back)
    await talk.reacted(HERE, "R2", 1)
    counts = await talk.service.stored(vote_counts, any_database, one.answer.id)
    assert (counts.up, counts.down) == (0, 1)
    found = await talk.answer_in(HERE, "R1")
    assert found is not None
    assert found.public_id == one.answer.id
    assert await talk.best_today(HERE) == ()
    await talk.reacted(HANAKO, "R1", 1)
    assert [(ranked.answer.public_id, ranked.up) for ranked in await talk.best_today(HERE)] == [(one.answer.id, 1)]
    await talk.take_back(one.answer.id)
    assert await talk.answer_in(HERE, "R1") is None
    assert await talk.answers_to(HERE, "M1") == ()
    assert await talk.best_today(HERE) == ()
    await talk.sent(one.answer, "R3")


async def test_who_may_ask_again(make_talk: MakeTalk, make_service: MakeService) -> None:
    talk = make_talk(chat=ON)
    (one,) = await said(talk, post())
    assert one.answer is not None
    kept = await talk.service.find(one.answer.id)
    assert await talk.may_ask_again(kept, HANAKO)
    strict = Conversation(make_service(database=talk.database, chat={"again_by": "poster"}))
    assert not await strict.may_ask_again(kept, HANAKO)
    assert await strict.may_ask_again(kept, HERE)


async def test_without_the_database_it_goes_on(make_talk: MakeTalk, tmp_path: Path) -> None:
    talk = make_talk(chat=ON, database=(database := open_database(f"sqlite:///{tmp_path / 'gone.db'}")))
    (before,) = await said(talk, post())
    assert before.answer is not None
    database.close()
    await asyncio.to_thread((tmp_path / "gone.db").write_bytes, b"not a database" * 100)
    assert (await talk.rules(HERE)).enabled
    assert not await talk.wants(post())  # perhaps somebody wants to be left alone
    assert await talk.wants(post(asked=True))
    assert await talk.claim(post())
    (one,) = await said(talk, post(asked=True))
    assert one.text("ja") in LINES
    quiet: list[Awaitable[Any]] = [
        talk.sent(before.answer, "R1"), talk.reacted(HERE, "R1", 1), talk.take_back(before.answer.id),
        talk.unclaim(post()), talk.answers_to(HERE, "M1"), talk.answer_in(HERE, "R1"),
    ]  # fmt: skip
    assert await asyncio.gather(*quiet) == [None, None, None, None, (), None]
