"""How the bot writes its log: readable lines or one JSON object a line, with the picture that a line is about, and no secrets.

A picture has one id from the event that brings it to the reply, in the worker process too: `follow` gives it.
"""

from __future__ import annotations

import json
import logging
import re
import secrets
import sys
import threading
from collections.abc import Collection
from contextvars import ContextVar
from datetime import UTC, datetime
from types import TracebackType
from urllib.parse import quote, quote_plus

PICTURE: ContextVar[str] = ContextVar("picture", default="")
OWN = ("bot", "store", "bokemodel")  # what `log.level = "debug"` makes talkative
QUIET = ("aiohttp.access", "apscheduler", "alembic")
HIDDEN = "***"

# What platforms hand out for a while and nobody configures: Slack's tickets and answering addresses, Discord's of one click.
_PASSING = re.compile(
    r"([?&](?:ticket|token|secret|signature|sig)=)[^&'\"\s<>()]+"
    r"|(hooks\.slack(?:-gov)?\.com/\w+/)[\w/%-]+"
    r"|(/(?:webhooks|interactions)/\d+/)[\w-]{20,}"
    r"|(\bx(?:ox[a-z]|app)-)[\w-]{8,}"
)

_PLAIN = {*logging.LogRecord("", 0, "", 0, "", None, None).__dict__, "message", "taskName", "asctime", "tag"}


def follow(picture: str = "") -> str:
    """From here on this task is about one picture; returns its id, a new one where none is given."""
    picture = picture or secrets.token_hex(4)
    PICTURE.set(picture)
    return picture


class _Named(logging.Filter):
    """Adds the picture's id to a record that does not say one itself."""

    def filter(self, record: logging.LogRecord) -> bool:
        picture = getattr(record, "picture", "") or PICTURE.get()
        if picture:
            record.picture = picture
        record.tag = f" [{picture}]" if picture else ""
        return True


class JsonFormatter(logging.Formatter):
    """One JSON object for each record, with the fields that were given as `extra`."""

    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        entry |= {k: v for k, v in record.__dict__.items() if k not in _PLAIN}
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry, ensure_ascii=False, default=str)


class Redactor:
    """Takes secrets out of a text, also where they are quoted for an address or for JSON, and what looks like one."""

    def __init__(self, hidden: Collection[str] = ()) -> None:
        forms = {form for secret in hidden if secret for form in _forms(secret)}
        longest_first = sorted(forms, key=lambda form: (-len(form), form))
        self._pattern = re.compile("|".join(map(re.escape, longest_first))) if forms else None

    def __call__(self, text: str) -> str:
        text = self._pattern.sub(HIDDEN, text) if self._pattern else text
        return _PASSING.sub(lambda found: next(filter(None, found.groups())) + HIDDEN, text)


def _forms(secret: str) -> tuple[str, ...]:
    return secret, quote(secret, safe=""), quote_plus(secret), json.dumps(secret)[1:-1], repr(secret)[1:-1]


class _Redacting(logging.Formatter):
    """Another formatter's lines, tracebacks included, without secrets."""

    def __init__(self, inner: logging.Formatter, redact: Redactor) -> None:
        super().__init__()
        self._inner, self._redact = inner, redact

    def format(self, record: logging.LogRecord) -> str:
        return self._redact(self._inner.format(record))


def configure(level: str, style: str, hidden: Collection[str] = ()) -> Redactor:
    """Send everything from `level` on to standard error, without the secrets in `hidden`; returns what hides them.

    Libraries are never more talkative than "info": they would show what they send. What nobody caught is logged, too.
    """
    redact = Redactor(hidden)
    handler = logging.StreamHandler(sys.stderr)
    text = logging.Formatter("%(asctime)s %(levelname)-7s %(name)s%(tag)s: %(message)s", "%H:%M:%S")
    handler.setFormatter(_Redacting(JsonFormatter() if style == "json" else text, redact))
    handler.addFilter(_Named())
    own = logging.getLevelNamesMapping()[level.upper()]
    logging.basicConfig(level=max(own, logging.INFO), handlers=[handler], force=True)
    for name in OWN:
        logging.getLogger(name).setLevel(own)
    for name in QUIET:
        logging.getLogger(name).setLevel(max(own, logging.WARNING))
    sys.excepthook = _uncaught
    threading.excepthook = lambda args: _uncaught(args.exc_type, args.exc_value or args.exc_type(), args.exc_traceback)
    return redact


def _uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if not issubclass(kind, KeyboardInterrupt | SystemExit):
        logging.getLogger("bot").critical("nobody took care of this", exc_info=(kind, error, trace))
