"""Lines for the owner: how a training run ended, told in the admin channel of Discord or Slack."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from store.runs import RunRecord

log = logging.getLogger(__name__)

Send = Callable[[str, str], Awaitable[None]]  # channel's id, text


class Announcements:
    """Where lines for the owner go: to `chat.admin_channel`, written discord:ID or slack:ID. Empty: nowhere."""

    def __init__(self, admin_channel: str) -> None:
        platform, _, self._channel = admin_channel.partition(":")
        self._platform = platform.lower()
        self._senders: dict[str, Send] = {}

    @property
    def ready(self) -> bool:
        """Can a line be told now?"""
        return bool(self._channel) and self._platform in self._senders

    def register(self, platform: str, send: Send) -> None:
        """A front end offers to post into channels of its platform ("discord", "slack")."""
        self._senders[platform] = send

    async def announce(self, text: str) -> bool:
        """Tell the owner. False where nobody is there to tell it to, or the platform refused."""
        if not self.ready:
            return False
        try:
            await self._senders[self._platform](self._channel, text)
        except Exception as error:  # a front end's own errors; the run has ended, whoever hears of it
            log.warning("the admin channel could not be told: %s", error)
            return False
        return True


_JA = {
    "published": "新しいモデルに切り替えました",
    "kept": "今のモデルのまま続けます",
    "failed": "学習が途中で失敗しました。今のモデルはそのまま動いています",
    "stopped": "学習は途中で止まりました。今のモデルはそのまま動いています",
}
_EN = {
    "published": "A new model is live",
    "kept": "The model stays as it is",
    "failed": "Training failed; the model that was live still is",
    "stopped": "Training was stopped; the model that was live still is",
}
_REASONS_JA = {
    "nothing_new": "前回から新しいボケが増えていません",
    "too_few": "学習に使えるボケがまだ足りません",
    "not_better": "学習してみましたが、今のモデルのほうが上でした",
}
_REASONS_EN = {
    "nothing_new": "nothing new to learn from",
    "too_few": "not enough jokes yet",
    "not_better": "the new one was no better",
}


def describe_run(run: RunRecord, language: str) -> str:
    """One line about a run that ended, in Japanese ("ja") or English."""
    japanese = language == "ja"
    parts = [(_JA if japanese else _EN).get(run.state, run.state)]
    if run.state == "kept" and run.reason:
        parts.append((_REASONS_JA if japanese else _REASONS_EN).get(run.reason, run.reason))
    elif run.state in ("failed", "stopped") and run.message:
        parts.append(run.message)
    bits, before = run.metrics.get("bits_per_char"), run.champion_metrics.get("bits_per_char")
    if bits is not None:
        compared = "" if before is None else f"、今までは {before:.3f}" if japanese else f", before: {before:.3f}"
        parts.append(f"1文字 {bits:.3f} ビット{compared}" if japanese else f"{bits:.3f} bits per character{compared}")
    minutes = max(1, round(run.seconds / 60))
    parts.append(f"所要 {minutes} 分" if japanese else f"{minutes} min")
    return "。".join(parts) + "。" if japanese else ". ".join(parts) + "."
