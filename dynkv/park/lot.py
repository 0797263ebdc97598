"""What is parked, as exchanged between the parker, the commands and a supervisor, and who may use it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum

from msgspec import Struct

from dynkv.plan.model import Plan, Standby


class Stage(StrEnum):
    MISSING = "missing"
    WAITING = "waiting"
    """There is not enough memory to import it."""
    IMPORTING = "importing"
    PARKED = "parked"
    FAILED = "failed"
    """It has failed too often."""


class Installation(Struct, frozen=True):
    """The state of the files that imports come from."""

    python: str
    directories: dict[str, str]
    """The interpreter, and the directories in which modules are looked for."""
    files: dict[str, str]
    """Files that modules were loaded from."""


class Parked(Struct, frozen=True):
    """One standby of the lot. While it is parked `channel` is the descriptor for its orders, in the process that
    holds it."""

    standby: Standby
    python: str
    stage: Stage = Stage.MISSING
    pid: int = 0
    start_ticks: int = 0
    incarnation: str = ""
    channel: int = -1
    since: str = ""
    began: float = 0.0
    """When it began, in seconds since the epoch."""
    found: Installation | None = None
    """The installation as it was after the imports."""
    failures: int = 0
    detail: str = ""

    def gone(self) -> Parked:
        return Parked(self.standby, self.python, failures=self.failures, detail=self.detail)

    def serves(self, planned: Standby, python: str) -> bool:
        """Whether it has exactly what such a standby needs; name, roles and size do not matter, nor what need not be
        done ahead."""
        return self.stage is Stage.PARKED and not self._other(planned, python)

    def other(self, planned: Standby, python: str) -> str:
        """Why it cannot serve as such a standby, in words; empty if it can."""
        if self.stage is not Stage.PARKED:
            return f"what is parked is {self.stage} {self.detail}".strip()
        return self._other(planned, python)

    def _other(self, planned: Standby, python: str) -> str:
        own = self.standby
        if self.python != python:
            return f"it uses {self.python}, but {python} is needed"
        if own.python_options != planned.python_options:
            return "the interpreter's options differ"
        if own.modules != planned.modules:
            missing = [name for name in planned.modules if name not in own.modules]
            return f"other modules are needed: {', '.join(missing) or 'fewer'}"
        if (own.cuda, own.spawns) != (planned.cuda, planned.spawns):
            return "it was made for another device or engine"
        differing = sorted(
            name for name in own.env.keys() | planned.env.keys() if own.env.get(name) != planned.env.get(name)
        )
        return f"its environment differs in {', '.join(differing)}" if differing else ""


class Lot(Struct, frozen=True):
    """Everything that the parker keeps; passed to each program that the process executes."""

    home: str
    code: str
    """The version of dynkv and its interpreter, as a digest."""
    around: dict[str, str]
    """What processes inherit here and cannot change afterwards."""
    environ: dict[str, str]
    """The parker's own environment."""
    parked: tuple[Parked, ...]
    umask: int = 0o022
    """The person's umask, for processes that are started."""
    pid: int = 0
    start_ticks: int = 0
    started_at: str = ""
    deployment: str = ""
    """The deployment that uses it at present; empty if none does."""
    lock: int = -1
    """The descriptor of its lock."""

    def channels(self) -> tuple[int, ...]:
        return tuple(it.channel for it in self.parked if it.channel >= 0)

    def serving(self, planned: Standby, python: str) -> Parked | None:
        return next((it for it in self.parked if it.serves(planned, python)), None)


def unusable(lot: Lot, plan: Plan, code: str, around: Mapping[str, str]) -> str:
    """Why a deployment can use nothing of it, in words; empty if it can."""
    if lot.deployment:
        return f"{lot.deployment} uses what is parked"
    if lot.code != code:
        return "it was parked by another dynkv, or by another interpreter"
    if differing := list(_differing(lot.around, around)):
        return f"what processes inherit differs: {'; '.join(differing)}"
    if any(lot.serving(planned, plan.python) for planned in plan.standbys):
        return ""
    alike = [it for it in lot.parked for planned in plan.standbys if it.standby.name == planned.name]
    first = alike[0] if alike else lot.parked[0]
    planned = next((it for it in plan.standbys if it.name == first.standby.name), plan.standbys[0])
    return first.other(planned, plan.python)


def _differing(before: Mapping[str, str], now: Mapping[str, str]) -> Iterator[str]:
    for name in sorted(before.keys() | now.keys()):
        if before.get(name) != now.get(name):
            yield f"{name} was {before.get(name, 'unknown')} and is {now.get(name, 'unknown')}"
