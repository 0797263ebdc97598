"""A parker in its own directory, with a standby that has imported almost nothing."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pytest

from dynkv.children.output import open_log
from dynkv.host.processes import read_process
from dynkv.park.around import around
from dynkv.park.files import LotPlace, in_memory
from dynkv.park.handover import Becoming, Descriptors, hand_over
from dynkv.park.lot import Lot, Parked, Stage
from dynkv.park.stamp import code
from dynkv.plan.model import Role, Standby

T = TypeVar("T")
ENVIRON = {"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(__file__).parents[2])}


@dataclass
class Running:
    """A parker."""

    where: LotPlace
    process: subprocess.Popen[bytes]

    def parked(self) -> Parked:
        """Its standby, once that has parked."""
        return until(lambda: next(filter(_is_parked, lot.parked), None) if (lot := self.where.read()) else None)

    def over(self) -> str:
        """Why it has ended, once it has."""
        self.process.wait(20)
        return self.where.why_ended

    def order(self, argv: tuple[str, ...], cwd: Path) -> str:
        """Order it to become this program, which finds its descriptors among its arguments; returns why it cannot."""
        plan, notify, log = (os.open(cwd / name, os.O_CREAT | os.O_RDWR) for name in ("plan", "notify", "log"))
        try:
            becoming = Becoming(argv, {**ENVIRON, "OWN": "to a deployment"}, str(cwd), "mine")
            return hand_over(self.where.socket, becoming, Descriptors(plan, notify, log, ()), self.process.pid)
        finally:
            for fd in (plan, notify, log):
                os.close(fd)


@contextmanager
def parking(home: Path, *modules: str, path: Path | None = None, memory_bytes: int = 1) -> Iterator[Running]:
    """A running parker, which is killed at the end if it still runs."""
    where = LotPlace(home)
    where.place.create()
    env = {"PATH": os.environ["PATH"], **({"PYTHONPATH": str(path)} if path else {})}
    standby = Standby("standby", modules or ("json",), env, (Role.WORKER,), keep=True, memory_bytes=memory_bytes)
    lot = Lot(str(home), code(), around(), ENVIRON, (Parked(standby, sys.executable),))
    state, log = in_memory(lot), open_log(where.log)
    command = [sys.executable, "-P", "-m", "dynkv.park.parker", "--home", str(home), "--lot-fd", str(state)]
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        env=ENVIRON,
        cwd=where.directory,
        pass_fds=(state,),
        start_new_session=True,
    ) as process:
        os.close(state)
        os.close(log)
        try:
            yield Running(where, process)
        finally:
            process.kill()


def until(ask: Callable[[], T | None], limit_s: float = 20.0, what: Callable[[], str] = lambda: "") -> T:
    """The first result of `ask` that is not None; `what` describes the state for the error."""
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        if answer := ask():
            return answer
        time.sleep(0.01)
    pytest.fail(f"it did not come in time: {what()}")


def is_gone(pid: int) -> bool:
    process = read_process(pid)
    return process is None or not process.is_alive


def _is_parked(it: Parked) -> bool:
    return it.stage is Stage.PARKED
