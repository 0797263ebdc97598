"""Kills, stops or floods processes of a deployment at random, and waits until all is well again."""

from __future__ import annotations

import os
import random
import signal
import time
from contextlib import suppress
from dataclasses import dataclass, field

import psutil
from stack.harness import Dynkv, Status, unit

from .traffic import Traffic
from .wishes import Worlds, random_wish

SUPERVISOR = "supervisor"
WORKERS = frozenset({"worker-0", "worker-1"})
NOBODY_RESTS: Worlds = frozenset({frozenset()})
BACK_S = 240.0
"""How long a deployment may take until it serves again: a worker of the real stack starts in 30 to 60 s here."""

_BREATH_S = 0.3
"""Pause between two rounds, so that a failed request belongs to one of them."""


@dataclass(frozen=True, slots=True)
class Blow:
    """One round: what was done to which targets, and how long until the deployment was ready again."""

    victims: tuple[str, ...]
    kills: int
    at: float
    ready_after_s: float
    wishes: tuple[str, ...] = ()
    """Requests made meanwhile, as command lines."""


@dataclass
class Monkey:
    """`up` is the command line that started the deployment; it is run again after the supervisor's death."""

    dynkv: Dynkv
    name: str
    up: tuple[str, ...]
    traffic: Traffic
    chance: random.Random
    blows: list[Blow] = field(default_factory=list)
    worlds: Worlds = NOBODY_RESTS

    @property
    def kills(self) -> int:
        return sum(blow.kills for blow in self.blows)

    def strike(self, targets: list[str], *, stop: bool = False, flood: int = 0, wishes: int = 0) -> Blow:
        """Kill (SIGKILL) or stop (SIGSTOP) one process of each target at the same moment, and wait until all serve
        again.

        A target is a unit, `unit/NAME` for a process below its main process whose name begins with NAME, or the
        supervisor. Units that rest are spared. `wishes` is the number of requests made before and after; the last ones
        determine what must run in the end.
        """
        time.sleep(_BREATH_S)
        before = self.dynkv.wait_until(self._is_as_asked, self.name, BACK_S)
        targets = [it for it in targets if it == SUPERVISOR or unit(before, it.partition("/")[0])["pid"] is not None]
        victims = [(target, self._process(before, target)) for target in targets]
        self.traffic.flood(flood)
        began = time.monotonic()
        uttered = self._utter(wishes // 2)
        for _, process in victims:
            with suppress(ProcessLookupError):  # a request has ended it
                os.kill(process.pid, signal.SIGSTOP if stop else signal.SIGKILL)
        if SUPERVISOR in targets:
            psutil.wait_procs([process for target, process in victims if target == SUPERVISOR], timeout=10)
            self.dynkv.do(*self.up, timeout_s=BACK_S)
        uttered += self._utter(wishes - wishes // 2)
        hit = {target.partition("/")[0] for target in targets} - {SUPERVISOR}
        self.dynkv.wait_until(lambda status: self._is_back(before, status, hit), self.name, BACK_S)
        blow = Blow(tuple(targets), 0 if stop else len(targets), began, time.monotonic() - began, tuple(uttered))
        self.blows.append(blow)
        return blow

    def _is_back(self, before: Status, now: Status, hit: set[str]) -> bool:
        return self._is_as_asked(now) and all(unit(now, name)["pid"] != unit(before, name)["pid"] for name in hit)

    def all_run(self) -> None:
        """Start every unit that rests."""
        self.dynkv.do("scale", "worker=2")
        self.worlds = NOBODY_RESTS
        self.dynkv.wait_until(self._is_as_asked, self.name, BACK_S)

    def _is_as_asked(self, now: Status) -> bool:
        """Whether the state last requested has been reached, and all is well."""
        resting = frozenset(one["name"] for one in now["units"] if one["state"] == "stopped")
        if resting not in self.worlds or any(one["state"] not in ("ready", "stopped") for one in now["units"]):
            return False
        return now["state"] == "ready" or (now["state"] == "degraded" and bool(resting))

    def _utter(self, number: int) -> list[str]:
        said = []
        for _ in range(number):
            wish = random_wish(self.chance, self.worlds, WORKERS)
            self.dynkv.do(*wish.words)
            self.worlds = wish.after(self.worlds, WORKERS)
            said.append(" ".join(wish.words))
        return said

    def _process(self, status: Status, target: str) -> psutil.Process:
        if target == SUPERVISOR:
            return psutil.Process(status["supervisor"]["pid"])
        name, _, child = target.partition("/")
        first = psutil.Process(unit(status, name)["pid"])
        if not child:
            return first
        return self.chance.choice([p for p in first.children(recursive=True) if p.name().startswith(child)])
