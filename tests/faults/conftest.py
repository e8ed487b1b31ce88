"""What the tests of faults share with those of the core."""

from __future__ import annotations

from tests.bot.conftest import core_worker, make_service, tiny_model

__all__ = ["core_worker", "make_service", "tiny_model"]
