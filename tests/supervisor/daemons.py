"""Real supervisors in separate processes."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import IO

import msgspec
from lab import Lab
from processes import until

from dynkv.control.client import Client, SupervisorGone
from dynkv.plan.model import Plan
from dynkv.supervisor.status import DeploymentStatus


@contextmanager
def daemon(
    lab: Lab,
    plan: Plan,
    *more: str,
    stdout: int | IO[bytes] | None = None,
    env: Mapping[str, str] | None = None,
    open_files: tuple[int, int] | None = None,
    is_awaited: bool = True,
) -> Iterator[tuple[subprocess.Popen[bytes], bytes]]:
    """A supervisor and its report; killed at the end if it still runs.

    It is in the foreground with `stdout`; `open_files` are its soft and hard limit. Unless `is_awaited`, it reports to
    nobody.
    """
    read, write = os.pipe()
    if not is_awaited:
        os.close(read)
        read = os.open(os.devnull, os.O_RDONLY)
    with tempfile.TemporaryFile() as file:
        file.write(msgspec.json.encode(plan))
        file.flush()
        fds = (file.fileno(), write)
        options = ["--home", str(lab.directory), "--plan-fd", str(fds[0]), "--notify-fd", str(fds[1]), *more]
        options += [] if stdout is None else ["--foreground"]
        with lab.place.supervisor_log.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "dynkv.daemon", *options],
                pass_fds=fds,
                stdout=log if stdout is None else stdout,
                stderr=log,
                stdin=subprocess.DEVNULL,
                env={**os.environ, **(env or {})},
                preexec_fn=None
                if open_files is None
                else lambda: resource.setrlimit(resource.RLIMIT_NOFILE, open_files),
            )
    os.close(write)
    try:
        with os.fdopen(read, "rb") as reported:
            yield process, reported.readline()
    finally:
        process.kill()
        process.wait()


def status_once(lab: Lab, state: str = "ready") -> DeploymentStatus:
    def ask() -> DeploymentStatus | None:
        try:
            status = Client(lab.place.socket).status()
        except SupervisorGone:
            return None
        return status if status.state == state else None

    found = until(ask, 30)
    assert found is not None
    return found


def pids(status: DeploymentStatus) -> dict[str, int | None]:
    return {unit.name: unit.pid for unit in status.units}
