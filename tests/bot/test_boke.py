"""The core: what a picture is answered with, and when it is not. A real worker, a real database."""

from __future__ import annotations

import asyncio
import io
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from bokemodel.modes import ALWAYS, MODES
from bot.boke import Ask, BokeRefused, BokeService, Outcome, Place
from bot.inference import EngineSettings, Inference, NoWorker, QueueFull, WorkerLost
from bot.worker import Answered, Job, ModelPlace
from tests.bot.conftest import MakeService, photo
from tests.bundles import LINES, QUOTES, WHO, quoted_at, tiny_bundle

pytestmark = pytest.mark.asyncio(loop_scope="session")

HERE = Place("discord", "C1", "taro", "G1", "M1")
FREE = {"cooldown_s": 0}  # no limits


async def refusal(service: BokeService, picture: bytes, place: Place = HERE, ask: Ask = Ask()) -> BokeRefused:
    with pytest.raises(BokeRefused) as caught:
        await service.answer(picture, place, ask)
    return caught.value


class Speaker(Inference):
    """A worker that says what a test wants, or ends as it wants: no trained model can be made to."""

    def __init__(self, says: tuple[str, ...] | Exception) -> None:
        super().__init__(EngineSettings(), ModelPlace())
        self.says = says

    async def answer(self, job: Job) -> Answered:
        if isinstance(self.says, Exception):
            raise self.says
        candidates = tuple((text, -float(rank)) for rank, text in enumerate(self.says))
        return Answered(candidates, "0" * 16, "e", "w" * 64, "m" * 64, b"\0" * 8, 1, 1)


# an answer


async def test_a_picture_gets_a_joke(make_service: MakeService) -> None:
    service = make_service()
    answer = await service.answer(photo(), HERE)
    assert answer.text in LINES
    assert answer.text == answer.candidates[0].text
    assert len({c.text for c in answer.candidates}) == len(answer.candidates) > 1
    assert [c.score for c in answer.candidates] == sorted((c.score for c in answer.candidates), reverse=True)
    assert (answer.mode, answer.encoder) == ("boke", "efficientnet-lite0")
    assert answer.model == service.inference.digest
    assert answer.elapsed_ms > 0
    assert answer.source_url is None
    assert len(answer.id) == 32


async def test_a_seed_gives_the_same_joke_again_and_again(make_service: MakeService) -> None:
    service = make_service(chat=FREE)
    jokes = {(await service.answer(photo(), HERE, Ask(seed=seed))).text for seed in (5, 5, 5)}
    assert len(jokes) == 1
    assert len({(await service.answer(photo(), HERE, Ask(seed=seed))).text for seed in range(8)}) > 1


async def test_modes(make_service: MakeService) -> None:
    service = make_service(chat=FREE)
    assert {(await service.answer(photo(), HERE, Ask(mode=mode))).mode for mode in MODES} == set(MODES)
    assert (await make_service(chat=FREE, inference={"mode": "article"}).answer(photo(), HERE)).mode == "article"
    unknown = await refusal(service, photo(), ask=Ask(mode="serious"))
    assert unknown.code == "unknown_mode"
    assert unknown.line() == "そのモードはありません。使えるのは boke・mismatch・retrieve・article です。"


async def test_a_quoted_joke_is_told_with_its_source(make_service: MakeService) -> None:
    service = make_service(chat=FREE, filter={"crawled_jokes": "drop"})
    for mode in ("retrieve", "mismatch"):
        answer = await service.answer(photo(), HERE, Ask(mode=mode))
        assert answer.text in QUOTES
        assert answer.source_url == quoted_at(QUOTES.index(answer.text))
        assert [c.text for c in answer.candidates] == [answer.text]  # others' jokes only with their source
        assert (await service.find(answer.id)).source_url == answer.source_url
    assert (await service.answer(photo(), HERE, Ask(mode="boke"))).source_url is None


async def test_quotes_are_not_told_twice(make_service: MakeService) -> None:
    service = make_service(chat=FREE)
    told = [(await service.answer(photo(), HERE, Ask(mode="retrieve"))).text for _ in QUOTES]
    assert set(told) == set(QUOTES)


async def test_only_the_modes_of_the_live_model_are_offered(
    make_service: MakeService, core_worker: Inference, tiny_model: Path, tmp_path: Path
) -> None:
    service = make_service(chat=FREE, inference={"mode": "mismatch"})
    assert await service.modes() == MODES
    assert (await service.answer(photo(), HERE)).mode == "mismatch"
    await core_worker.reload(ModelPlace(str(tiny_bundle(tmp_path, 3))))
    try:
        assert await service.modes() == ALWAYS
        refused = await refusal(service, photo(), ask=Ask(mode="retrieve"))
        assert (refused.code, refused.values) == ("unknown_mode", {"modes": "boke・article"})
        assert (await service.answer(photo(), HERE)).mode == "boke"  # nobody asked for the mode that is not there
    finally:
        await core_worker.reload(ModelPlace(str(tiny_model)))
    assert await service.modes() == MODES


async def test_the_configuration_says_how_jokes_are_looked_for(make_service: MakeService) -> None:
    few = make_service(chat=FREE, inference={"candidates": 12, "temperature": 0.0001, "top_p": 0.01})
    answer = await few.answer(photo(), HERE, Ask(seed=1))
    assert len(answer.candidates) == 1  # the likeliest words, twelve times
    assert len((await make_service(chat=FREE).answer(photo(), HERE, Ask(seed=1))).candidates) > 1


@pytest.mark.parametrize(
    ("picture", "code", "line"),
    [
        (b"", "no_picture", "写真が見つかりませんでした。画像を一枚つけてください。"),
        (b"hello", "not_a_picture", "これは読めない形式でした。JPEG・PNG・GIF・WebP・HEIC・AVIFの写真をください。"),
        (photo()[:3000], "corrupt", "写真が途中で途切れているようです。もう一度送ってみてください。"),
        (bytes(200_001), "too_large", "ファイルが大きすぎました。195 kBまでの写真をください。"),
    ],
)
async def test_what_cannot_be_answered_is_said_kindly(
    make_service: MakeService, picture: bytes, code: str, line: str
) -> None:
    service = make_service(pictures={"max_bytes": 200_000})
    refused = await refusal(service, picture)
    assert (refused.code, refused.line("ja"), refused.retry_after) == (code, line, 0)
    assert refused.line("en").isascii()


async def test_a_bomb_is_refused(make_service: MakeService) -> None:
    bomb = io.BytesIO()
    Image.new("1", (4000, 4000)).save(bomb, "PNG")
    service = make_service(pictures={"max_pixels": 10_000_000})
    assert (await refusal(service, bomb.getvalue())).code == "too_many_pixels"
    assert (await service.answer(photo(), HERE)).text in LINES


async def test_every_end_is_counted(make_service: MakeService) -> None:
    service = make_service(chat=FREE)
    seen: list[Outcome] = []
    service.observers.append(seen.append)
    await service.answer(photo(), HERE)
    await refusal(service, b"hello")
    await refusal(service, photo(), ask=Ask(mode="\N{PILE OF POO}"))
    service.inference = Speaker(RuntimeError("a bug"))
    with pytest.raises(RuntimeError):
        await service.answer(photo(), HERE)
    assert [(o.platform, o.mode, o.code) for o in seen] == [
        ("discord", "boke", "answered"),
        ("discord", "boke", "not_a_picture"),
        ("discord", "unknown", "unknown_mode"),  # a label that a stranger chooses would fill the memory
        ("discord", "boke", "bug"),
    ]


# the worker


@pytest.mark.parametrize(
    ("error", "code", "retry_after"),
    [(QueueFull(""), "busy", 5), (NoWorker(""), "down", 10), (WorkerLost(""), "lost", 0)],
)
async def test_what_ails_the_worker_has_a_friendly_line(
    make_service: MakeService, error: Exception, code: str, retry_after: int
) -> None:
    service = make_service()
    service.inference = Speaker(error)
    refused = await refusal(service, photo())
    assert (refused.code, refused.retry_after) == (code, retry_after)


async def test_a_full_queue_is_said_and_those_in_it_are_answered(make_service: MakeService) -> None:
    service = make_service(chat=FREE)
    (pid,) = service.inference.pids
    os.kill(pid, signal.SIGSTOP)
    try:
        waiting: list[asyncio.Task[Any]] = []
        while service.inference.waiting < 64:
            waiting.append(asyncio.create_task(service.answer(photo(), HERE)))
            await asyncio.sleep(0)
        refused = await refusal(service, photo())
    finally:
        os.kill(pid, signal.SIGCONT)
    assert refused.line() == "ただいま混み合っています。少ししてからもう一度どうぞ。"
    assert {answer.text for answer in await asyncio.gather(*waiting)} <= set(LINES)


async def test_a_card(make_service: MakeService) -> None:
    service = make_service(card={"width": 300})
    card = await service.card(photo(), "猫の手も借りたい。")
    with Image.open(io.BytesIO(card)) as drawn:
        assert (drawn.format, drawn.width) == ("PNG", 300)
    assert card != await service.card(photo(), "猫の手も借りたい。", spoiler=True)
    for picture, code in ((b"", "no_picture"), (b"hello", "not_a_picture"), (photo()[:3000], "corrupt")):
        with pytest.raises(BokeRefused) as caught:
            await service.card(picture, "猫")
        assert caught.value.code == code


# limits


def allowed(service: BokeService, *places: Place, asked_by: str = "") -> list[bool]:
    """Whether one picture more would be answered, in each of these places in turn."""

    def once(place: Place) -> bool:
        try:
            service.check_limits(place, asked_by)
        except BokeRefused:
            return False
        return True

    return [once(place) for place in places]


def at(channel: str, user: str, platform: str = "discord") -> Place:
    return Place(platform, channel, user)


LIMITS = [
    ("user_per_minute", [at("a", "taro"), at("b", "taro"), at("c", "taro")], at("c", "hanako")),
    ("user_per_minute", [at("a", "taro"), at("b", "taro"), at("c", "taro")], at("c", "taro", "slack")),
    ("channel_per_minute", [at("a", "taro"), at("a", "hanako"), at("a", "jiro")], at("b", "jiro")),
    ("channel_per_minute", [at("a", "taro"), at("a", "hanako"), at("a", "jiro")], at("a", "jiro", "slack")),
    ("global_per_minute", [at("a", "taro"), at("b", "hanako", "slack"), at("c", "jiro")], None),
]


@pytest.mark.parametrize(("limit", "places", "other"), LIMITS)
async def test_limits_for_a_person_a_channel_and_all(
    make_service: MakeService, limit: str, places: list[Place], other: Place | None
) -> None:
    no_others = {"user_per_minute": 0, "channel_per_minute": 0, "global_per_minute": 0}
    service = make_service(chat={**no_others, limit: 2})
    assert allowed(service, *places) == [True, True, False]
    if other is not None:
        assert allowed(service, other) == [True]
    assert allowed(make_service(chat={**no_others, limit: 2, "cooldown_s": 0}), *places) == [True] * 3


async def test_a_limit_is_met_before_the_worker_is_asked(make_service: MakeService) -> None:
    service = make_service(chat={"user_per_minute": 1})
    await service.answer(photo(), HERE)
    service.inference = Speaker(RuntimeError("asked"))
    refused = await refusal(service, photo())
    assert refused.code == "slow_down"
    assert 1 <= refused.retry_after <= 60
    assert refused.line() == f"ネタが追いつきません。{refused.retry_after}秒ほど待ってください。"
    with pytest.raises(RuntimeError):  # the page has limits of its own
        await service.answer(photo(), HERE, Ask(limited=False))


async def test_who_asks_about_anothers_picture_uses_up_their_own_limit(make_service: MakeService) -> None:
    service = make_service(chat={"user_per_minute": 1})
    assert allowed(service, HERE, HERE, asked_by="hanako") == [True, False]
    assert allowed(service, HERE) == [True]


async def test_a_refused_size_costs_nothing(make_service: MakeService) -> None:
    service = make_service(chat={"user_per_minute": 1})
    await refusal(service, b"")
    assert (await service.answer(photo(), HERE)).text in LINES


# what may be said


async def test_unwanted_words_are_not_said(make_service: MakeService) -> None:
    ask = Ask(seed=1)
    offered = [c.text for c in (await make_service(chat=FREE).answer(photo(), HERE, ask)).candidates]
    unwanted, rest = offered[:4], offered[4:]
    service = make_service(chat=FREE, filter={"words": unwanted})
    answer = await service.answer(photo(), HERE, ask)
    assert [c.text for c in answer.candidates] == rest
    assert answer.text == rest[0]
    everything = make_service(chat=FREE, filter={"words": WHO})
    assert (await refusal(everything, photo())).line() == "この写真で言えることは、もう全部言いました。"


async def test_nothing_that_is_said_can_ping_or_link(make_service: MakeService) -> None:
    service = make_service(chat=FREE)
    service.inference = Speaker(("@everyone <b>https://evil.example/a</b>", "\u202e", "猫\n\n犬", "猫 犬"))
    answer = await service.answer(photo(), HERE)
    assert answer.text == "＠everyone ＜b＞https：evil．example/a＜/b＞"
    assert [c.text for c in answer.candidates[1:]] == ["猫 犬"]
