"""Which process it was that wrote something down, and whether that one is gone.

A process id says neither: ids are used again, each container counts its own, and two machines can have the same name.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path

PROC = Path("/proc")
DEAD = "ZX"  # states of a process that has ended, and that its parent has not asked about yet


def name_of_process(pid: int | None = None) -> str | None:
    """A name that no other process has, has had or will have, of at most 64 characters.

    Linux: the machine's start, the namespace of process ids, the id in it, and when the process began, in ticks since the
    machine's start. Elsewhere host and id, as good as that is.

    Args:
        pid: a process of this machine and container; None: this one.

    Returns: None where there is no such process.
    """
    pid = os.getpid() if pid is None else pid
    place = _place()
    if place is None:
        return f"{socket.gethostname()[:40]}/{pid}/-"
    try:
        return f"{place}/{pid}/{_state_and_start(pid)[1]}"
    except OSError:
        return None


def is_gone(name: str) -> bool:
    """Is the process of this name gone for certain? Of one on another machine or in another container nothing is."""
    place, _, rest = name.partition("/")
    pid, _, start = rest.partition("/")
    if place != (_place() or socket.gethostname()[:40]) or not pid.isdecimal():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except OSError:  # there is one, of another user
        pass
    if start == "-":
        return False
    try:
        state, its_start = _state_and_start(int(pid))
    except OSError:  # hidden from this user, or it ends this moment
        return False
    return its_start != start or state in DEAD


def _place() -> str | None:
    """Where process ids are counted, since the machine's start; None where it is not told."""
    try:
        if os.readlink(PROC / "self") != str(os.getpid()):  # another container's
            return None
        boot = (PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii").replace("-", "")[:16]
        return f"{boot}.{os.stat(PROC / 'self/ns/pid').st_ino}"
    except OSError:
        return None


def _state_and_start(pid: int) -> tuple[str, str]:
    """Raises: OSError"""
    text = (PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    fields = text.rpartition(")")[2].split()  # what stands before may be any name
    return fields[0], fields[19]
