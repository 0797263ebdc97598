"""Requests that ended with an error because a unit had ended: the stack counts them, and this says whose end it was.

The frontend counts requests that lost their worker and could not continue on another; workers count those whose
frontend stopped reading the answer. Source: ai-dynamo 1.6.1, /metrics, by killing each of them under load; 1.3.1 counts
neither.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import anyio

from dynkv.plan.model import Plan, Role
from dynkv.probes.text import read
from dynkv.supervisor.event_kinds import EventKind
from dynkv.supervisor.life import Shared
from dynkv.supervisor.states import State

_SETTLED_S = 1.0
"""Seconds without a new count after which all are counted. After the end of a worker the frontend tries the others
first; a worker notices the end of its frontend with the next token of each request, which may be late."""
_LOOKS = 10
_TIMEOUT_S = 5.0
_NOTED_EVERY_S = 10.0
"""How often to note the counts, in seconds. Workers count clients that hang up like a frontend that ends, so only
those since the last note can be mistaken for cut requests."""
_BY_FRONTEND, _LOST = "dynamo_frontend_failures_total", ("reason", "transport.")
_BY_WORKER, _UNHEARD = "dynamo_component_errors_total", ("error_type", "publish_response")


def cut_requests(text: str, *, by_frontend: bool) -> int:
    """Requests that a frontend or a worker has counted in its /metrics since it started."""
    name, (label, beginning) = (_BY_FRONTEND, _LOST) if by_frontend else (_BY_WORKER, _UNHEARD)
    series = read(text, {name}).get(name, {})
    return int(sum(value for labels, value in series.items() if dict(labels).get(label, "").startswith(beginning)))


class Cuts:
    def __init__(self, plan: Plan, shared: Shared) -> None:
        self.requests: dict[str, int] = {}
        """Requests that each unit's ends have cut, since this supervisor began."""
        self._frontends = [unit.name for unit in plan.units if unit.role is Role.FRONTEND]
        self._workers = [unit.name for unit in plan.workers]
        self._shared = shared
        self._counted: dict[str, tuple[int | None, int]] = {}
        """By unit, the pid of the process and its count."""
        self._pids: dict[str, int | None] = {}

    async def run(self) -> None:
        """Count after each end of a frontend or a worker; earlier counts are attributed to nobody."""
        await self._new_cuts(self._frontends + self._workers)
        while True:
            ended: list[str] = []
            with anyio.move_on_after(_NOTED_EVERY_S):
                ended = await self._next_ends()
            if not ended:
                await self._note()
                continue
            is_worker = any(name in self._workers for name in ended)
            is_frontend = any(name in self._frontends for name in ended)
            asked = [*(self._frontends if is_worker else ()), *(self._workers if is_frontend else ())]
            if asked and (cut := await self._all_new_cuts(asked)):
                self._tell(ended, cut)

    async def _next_ends(self) -> list[str]:
        board, ended = self._shared.board, list[str]()

        def look() -> bool:
            for name in self._frontends + self._workers:
                before, self._pids[name] = self._pids.get(name), board[name].pid
                if before is not None and board[name].pid != before:
                    ended.append(name)
            return bool(ended)

        await board.until(look)
        return ended

    async def _note(self) -> None:
        """Note the counts, unless a frontend is about to end or has ended meanwhile: they may then be due to that."""
        said = await self._figures_of(self._workers, max_age_s=_NOTED_EVERY_S)
        if all(self._shared.board[name].state is State.READY for name in self._frontends):
            self._take(said)

    async def _all_new_cuts(self, units: Collection[str]) -> int:
        cut = 0
        for looks in range(_LOOKS):
            await anyio.sleep(_SETTLED_S)
            new = await self._new_cuts(units)
            cut += new
            if looks and not new:
                break
        return cut

    async def _new_cuts(self, units: Collection[str]) -> int:
        """Requests that these units have counted since they were last asked."""
        return self._take(await self._figures_of(units))

    async def _figures_of(self, units: Collection[str], *, max_age_s: float = 0.0) -> dict[str, str]:
        return await self._shared.figures.of(units, max_age_s=max_age_s, timeout_s=_TIMEOUT_S)

    def _take(self, said: Mapping[str, str]) -> int:
        board, found = self._shared.board, 0
        for name, text in said.items():
            pid, count = board[name].pid, cut_requests(text, by_frontend=name in self._frontends)
            counted_by, before = self._counted.get(name, (pid, 0))
            self._counted[name] = pid, count
            found += max(0, count - (before if counted_by == pid else 0))
        return found

    def _tell(self, ended: list[str], cut: int) -> None:
        first, *others = ended
        self.requests[first] = self.requests.get(first, 0) + cut
        what = "a request was cut" if cut == 1 else f"{cut} requests were cut"
        cause = f"{' and '.join(ended)} ended, and {'they' if cut > 1 else 'it'} could not go on elsewhere"
        unit = None if others else first
        self._shared.events.record(EventKind.CUT, what, unit=unit, cause=cause, requests=cut, units=ended)
