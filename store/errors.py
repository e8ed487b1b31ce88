"""The errors of this package: a small tree, each message one line that says what to do and never holds a password."""

from __future__ import annotations

from collections.abc import Sequence


class StoreError(Exception):
    """Base of everything that store raises on purpose."""


class ConfigError(StoreError):
    """A configuration that cannot be used; the message has one line per problem.

    Attributes:
        problems: the lines, each naming where the value came from, the key, and what is wrong with it.
    """

    def __init__(self, problems: str | Sequence[str]) -> None:
        self.problems = (problems,) if isinstance(problems, str) else tuple(problems)
        super().__init__("\n".join(self.problems))


class DatabaseError(StoreError):
    """Base of what can be wrong with the database."""


class DatabaseUnavailable(DatabaseError):
    """The database cannot be reached, opened or written."""


class DatabaseBusy(DatabaseUnavailable):
    """Somebody else kept the database locked for longer than this program waits. Trying again may help."""


class DatabaseFull(DatabaseUnavailable):
    """No room is left on the database's disk."""


class DatabaseDamaged(DatabaseUnavailable):
    """The file is not an SQLite database, or it is damaged."""


class DatabaseTooNew(DatabaseError):
    """The database was migrated by a later version of this program."""


class UnknownAnswer(StoreError):
    """No answer has that id, or it was deleted."""
