"""Processes are told apart, also those that share an id; and only what is certainly gone is said to be."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from store import processes
from store.processes import is_gone, name_of_process

ROOT = Path(__file__).resolve().parents[2]
SLEEP = [sys.executable, "-c", "import sys; sys.stdin.read()"]
ON_LINUX = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="elsewhere only the id is known")


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(SLEEP, stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


def name_of(process: subprocess.Popen[bytes]) -> str:
    name = name_of_process(process.pid)
    assert name is not None
    return name


def test_a_living_process_is_not_gone_and_a_killed_one_is(child: subprocess.Popen[bytes]) -> None:
    name = name_of(child)
    assert len(name) <= 64
    assert name != name_of_process()
    assert not is_gone(name)
    assert not is_gone(name_of_process() or "")
    child.kill()
    child.wait()
    assert is_gone(name)
    assert name_of_process(child.pid) is None or name_of_process(child.pid) != name


@ON_LINUX
def test_a_killed_one_that_nobody_waits_for_is_gone(child: subprocess.Popen[bytes]) -> None:
    name = name_of(child)
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    os.kill(child.pid, 0)  # its id still stands for something
    assert is_gone(name)


@ON_LINUX
def test_an_id_that_was_used_again_is_another_process(child: subprocess.Popen[bytes]) -> None:
    place, pid, start = name_of(child).split("/")
    assert is_gone(f"{place}/{pid}/{int(start) - 1}")
    assert not is_gone(f"{place}/{pid}/{start}")


@ON_LINUX
def test_a_process_that_stands_still_is_not_gone(child: subprocess.Popen[bytes]) -> None:
    child.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, child.pid, os.WSTOPPED | os.WNOWAIT)
    assert not is_gone(name_of(child))


def test_of_another_machine_nothing_is_certain() -> None:
    name = name_of_process()
    assert name is not None
    place, _, rest = name.partition("/")
    nobody = 2**22 + 1  # beyond any process id
    assert is_gone(f"{place}/{nobody}/1")
    for other in (f"0{place}/{nobody}/1", f"{place}0/{nobody}/1", f"elsewhere/{rest}", "", "a", "a/b", f"{place}/-1/1"):
        assert not is_gone(other)


@pytest.mark.parametrize("missing", ["self", "sys/kernel/random/boot_id"])
def test_where_no_more_is_told_host_and_id_have_to_do(
    child: subprocess.Popen[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    if missing != "self":
        (tmp_path / "self").symlink_to(str(os.getpid()))
    monkeypatch.setattr(processes, "PROC", tmp_path)
    name = name_of(child)
    assert not is_gone(name)
    child.kill()
    child.wait()
    assert is_gone(name)
    assert not is_gone(f"x{name}")


@ON_LINUX
def test_containers_count_ids_of_their_own() -> None:
    """Process 1 of one says nothing about process 1 of another, whatever both machines are called."""
    unshare = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--mount-proc"]
    if (
        shutil.which("unshare") is None
        or subprocess.run([*unshare, "true"], capture_output=True, check=False).returncode
    ):
        pytest.skip("no namespaces can be made here")
    program = "from store.processes import name_of_process as n; import sys; print(n(), flush=True); sys.stdin.read()"
    command = [*unshare, sys.executable, "-c", program]
    with (
        subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as one,
        subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other,
    ):
        names = []
        for process in (one, other):
            assert process.stdout is not None
            names.append(process.stdout.readline().strip())
        assert len({name.partition("/")[0] for name in (*names, name_of_process() or "")}) == 3
        assert [name.split("/")[1] for name in names] == ["1", "1"]
        one.communicate()
        assert not is_gone(names[0]), "from here nobody can know"
        seen = subprocess.run(
            [*unshare, sys.executable, "-c", f"from store.processes import is_gone; print(is_gone({names[1]!r}))"],
            cwd=ROOT, capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert seen.stdout == "False\n"
        other.communicate()
