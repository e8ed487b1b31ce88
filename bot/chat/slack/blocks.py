"""What an answer looks like in Slack: plain text that nobody can be pinged with, and buttons that carry their own state."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bot.messages import Language, say
from store.votes import VoteCounts

AGAIN, UP, DOWN, CARD = "boke_again", "boke_up", "boke_down", "boke_card"
VOTES = {UP: 1, DOWN: -1}
MAX_SECTION, MAX_VALUE = 3000, 2000  # Slack's limits, in characters

Block = dict[str, Any]


@dataclass(frozen=True)
class Handle:
    """All that a button needs, so that it works after a restart: it travels in the button's value.

    Attributes:
        answer_id: "" where the answer could not be kept.
        picture: where the picture is, as `Pictures.again` reads it; "" where that is too long: the database knows it.
        owner: who posted the picture.
        post_ts: the post with the picture; "" where there is none.
        number: which picture of several in one post, from 1; 0 for a single one.
    """

    answer_id: str
    picture: str = ""
    owner: str = ""
    post_ts: str = ""
    number: int = 0

    def encode(self) -> str:
        """A button's value."""
        value = json.dumps(
            {"a": self.answer_id, "p": self.picture, "o": self.owner, "m": self.post_ts, "n": self.number},
            ensure_ascii=False,
            separators=(",", ":"),
        )
        return value if len(value) <= MAX_VALUE else Handle(self.answer_id, "", *self._rest()).encode()

    def _rest(self) -> tuple[str, str, int]:
        return self.owner, self.post_ts, self.number

    @classmethod
    def decode(cls, value: str) -> Handle:
        """What `encode` made. Raises ValueError for anything else."""
        try:
            read = json.loads(value)
            return cls(str(read["a"]), str(read["p"]), str(read["o"]), str(read["m"]), int(read["n"]))
        except (KeyError, TypeError) as error:
            raise ValueError(f"no state of a button: {error}") from None

    @classmethod
    def of_message(cls, message: Mapping[str, Any]) -> Handle | None:
        """The handle under one of the bot's answers; None for any other message."""
        for element in _elements(message):
            if element.get("action_id") == AGAIN:
                try:
                    return cls.decode(str(element.get("value")))
                except ValueError:
                    return None
        return None


def escape(text: str) -> str:
    """Text for a message's `text`: the three signs that Slack reads as markup."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def plain(text: str) -> dict[str, Any]:
    """Text that Slack shows as it is: no markup, no mentions, no :emoji: by name."""
    return {"type": "plain_text", "text": text[:MAX_SECTION], "emoji": False}


def mark() -> str:
    """A name for a message that nobody else has: by it the message is found, where the answer to its sending was lost."""
    return f"m-{uuid.uuid4().hex}"


def line_blocks(text: str, name: str) -> list[Block]:
    """One of the bot's own lines."""
    return [{"type": "section", "block_id": name, "text": plain(text)}]


def answer_blocks(
    text: str,
    handle: Handle,
    name: str,
    language: Language,
    counts: VoteCounts | None = None,
    *,
    source: str | None = None,
    card: bool = True,
) -> list[Block]:
    """A joke with its buttons. Without votes where the answer was not kept; `card` is left out in private answers.

    source: where the joke stands, if it is somebody's.
    """
    blocks: list[Block] = []
    if handle.number:
        about = say("nth_picture", language, number=handle.number)
        blocks.append({"type": "context", "elements": [plain(about)]})
    blocks += line_blocks(text, name)
    if source:
        said = say("source", language, url=f"<{escape(source)}>")
        blocks.append({"type": "context", "elements": [{"type": "mrkdwn", "text": said}]})
    value = handle.encode()
    buttons = [_button(AGAIN, say("again", language), value)]
    if handle.answer_id:
        up, down = (counts.up, counts.down) if counts else (0, 0)
        buttons.append(_button(UP, _counted("👍", up), value, say("up_hint", language)))
        buttons.append(_button(DOWN, _counted("👎", down), value, say("down_hint", language)))
    if card:
        buttons.append(_button(CARD, say("card", language), value))
    blocks.append({"type": "actions", "elements": buttons})
    return blocks


def section_id(message: Mapping[str, Any]) -> str:
    """The `name` that a message's section was given; a new one where it has none."""
    found = (block.get("block_id") for block in message.get("blocks") or [] if block.get("type") == "section")
    return next((name for name in found if name), None) or mark()


def _counted(sign: str, count: int) -> str:
    return f"{sign} {count}" if count else sign


def _button(action_id: str, label: str, value: str, hint: str = "") -> dict[str, Any]:
    button = {
        "type": "button",
        "action_id": action_id,
        "text": {"type": "plain_text", "text": label, "emoji": True},
        "value": value,
    }
    return button | ({"accessibility_label": hint} if hint else {})


def _elements(message: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for block in message.get("blocks") or []:
        if block.get("type") == "actions":
            yield from block.get("elements") or []
