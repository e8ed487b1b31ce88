"""A real dask cluster for tests: scheduler and workers are processes, which are killed, join and come back."""

from __future__ import annotations

import gc
import os
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import psutil
from distributed import Client

ROOT = Path(__file__).parents[1]


class Cluster:
    """A scheduler and workers on loopback. `tls` are the options that all of them need for it."""

    def __init__(self, folder: Path, tls: Sequence[str] = ()) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.folder, self.tls = folder, tls
        self.scheme = "tls" if tls else "tcp"
        self.address = f"{self.scheme}://127.0.0.1:{self.port}"
        self.processes: list[subprocess.Popen[bytes]] = []

    def scheduler(self) -> subprocess.Popen[bytes]:
        return self._start("scheduler", "--host", "127.0.0.1", "--protocol", self.scheme, "--port", str(self.port))

    def worker(self, machine: str = "a") -> subprocess.Popen[bytes]:
        place = str(self.folder / machine)
        options = ("--nthreads", "1", "--memory-limit", "0", "--local-directory", place, "--host", "127.0.0.1")
        return self._start("worker", self.address, *options)

    def reachable(self) -> None:
        """Wait for the scheduler."""
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)  # there is no event to wait for: it only starts to listen

    def models(self, machine: str = "a") -> list[Path]:
        return sorted(self.folder.glob(f"{machine}/*/bokebot-models/[!.]*"))

    def _start(self, *arguments: str) -> subprocess.Popen[bytes]:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "0"}
        command = [sys.executable, "-m", "dask", *arguments, "--no-dashboard", *self.tls]
        with (self.folder / "log").open("ab") as log:
            process = subprocess.Popen(command, cwd=self.folder, env=environment, stdout=log, stderr=log)
        self.processes.append(process)
        return process

    def end(self) -> None:
        for process in self.processes:
            kill(process)


def kill(process: subprocess.Popen[bytes]) -> None:
    """A machine that is gone: the nanny and its worker at once."""
    if process.poll() is None:
        for child in psutil.Process(process.pid).children(recursive=True):
            child.kill()
        process.kill()
    process.wait()


def make_certificate(folder: Path) -> tuple[str, str]:
    """A key, and a certificate that is its own authority."""
    key, cert = str(folder / "key.pem"), str(folder / "cert.pem")
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-subj", "/CN=boke", "-days", "2", "-keyout", key, "-out", cert]
    subprocess.run(command, check=True, capture_output=True)
    return key, cert


def unclosed() -> list[Client]:
    """Clients that would be left to the garbage collector, in which closing may wait for ever for a lock of dask's."""
    return [each for each in gc.get_objects() if isinstance(each, Client) and each.status != "closed"]
