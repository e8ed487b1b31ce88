"""What counts as a sign of life, on made-up workers; `test_cluster_silence` has real ones."""

from __future__ import annotations

from store.cluster import WorkerSeen
from training.cluster_watch import QUIET_S, Watch

OURS = frozenset({"a", "b"})
PATIENCE = 2 * QUIET_S


def worker(beat: float, doing: str | None, todo: str = "ab") -> WorkerSeen:
    """One letter for each call; a and b are ours."""
    keys = frozenset(todo)
    return WorkerSeen("w", beat, keys, keys & OURS, None if doing is None else frozenset(doing))


def stuck(*looks: WorkerSeen, patience: float = PATIENCE) -> list[int]:
    """At which of the looks, which are QUIET_S apart, the worker was held to be stuck."""
    watch = Watch(patience)
    return [number for number, seen in enumerate(looks) if watch.stuck([seen], number * QUIET_S)]


def test_who_works_on_others_calls_is_busy() -> None:
    assert stuck(*(worker(beat, "x", "abx") for beat in range(9))) == []
    assert stuck(*(worker(beat, "ax", "abx") for beat in range(9))) == []  # it has several threads


def test_who_works_on_the_same_of_ours_all_the_time_is_stuck() -> None:
    assert stuck(*(worker(beat, "a") for beat in range(4))) == [2, 3]
    assert stuck(*(worker(beat, "a", "abx" if beat % 2 else "ab") for beat in range(4))) == [
        2,
        3,
    ]  # answers wait for it
    assert stuck(*(worker(beat, "ab"[beat % 2]) for beat in range(9))) == []
    assert stuck(worker(0, "a"), worker(1, None), worker(2, "a"), worker(3, "a")) == []  # it got on meanwhile


def test_who_does_nothing_is_stuck_unless_something_gets_done() -> None:
    assert stuck(*(worker(beat, "") for beat in range(4))) == [2, 3]
    assert stuck(*(worker(beat, "", "ab" + "xyz"[beat % 3]) for beat in range(9))) == []  # answers too short to be seen


def test_who_is_not_heard_of_is_stuck_whatever_it_was_doing() -> None:
    assert stuck(*(worker(0, None, "abx") for _ in range(4))) == [2, 3]
    assert stuck(*(worker(look // 2, None) for look in range(9))) == []
    # A heartbeat or two may be late, however short the patience is.
    assert stuck(*(worker(0, None) for _ in range(3)), patience=0.1) == [1, 2]


def test_who_has_nothing_of_ours_or_went_is_not_watched() -> None:
    assert stuck(*(worker(0, "x", "x") for _ in range(9))) == []
    watch = Watch(PATIENCE)
    assert watch.stuck([worker(0, "a")], 0) == []
    assert watch.stuck([], PATIENCE) == []
    assert watch.stuck([worker(0, "a")], 2 * PATIENCE) == []  # another one at its address
