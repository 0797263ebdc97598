"""The newest metrics of each unit: one request to its /metrics serves all that need them at about the same time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import anyio
from msgspec import Struct, field

from dynkv.plan.model import HttpGet, Plan, Role, Unit
from dynkv.plan.serving import local_host
from dynkv.probes.http import Response, request

_PATH = "/metrics"


def sources(plan: Plan) -> dict[str, HttpGet]:
    """Where each unit that has metrics serves them, by its name."""
    return {unit.name: source for unit in plan.units if (source := _source(plan, unit)) is not None}


class Figures:
    """A cache of units' metrics: a caller gets a recent answer, waits for a request in progress, or makes one."""

    def __init__(self, sources: Mapping[str, HttpGet] | None = None) -> None:
        """`sources`: those that others will need, by unit."""
        self.sources = sources or {}
        self._wanted = frozenset(self.sources.values())
        self._newest: dict[HttpGet, _Scrape] = {}
        self._under_way: dict[HttpGet, _UnderWay] = {}

    def wants(self, check: HttpGet) -> bool:
        """Whether the answer is worth reading, because others will need it too."""
        return check in self._wanted

    async def ask(self, source: HttpGet) -> Response:
        """A new answer, for all callers while it is in progress. Raises OSError; the caller sets the deadline.

        If the requesting caller gives up, one of the waiting ones takes over: each has its own deadline.
        """
        while (under_way := self._under_way.get(source)) is not None:
            await under_way.over.wait()
            if under_way.answer is not None:
                return _unless_error(under_way.answer)
        under_way = self._under_way[source] = _UnderWay()
        try:
            under_way.answer = answer = await _answer(source)
            if isinstance(answer, Response) and answer.status == 200:
                self._newest[source] = _Scrape(_text(answer), answer.is_whole, anyio.current_time())
        finally:
            del self._under_way[source]
            under_way.over.set()
        return _unless_error(answer)

    async def get(self, source: HttpGet, *, max_age_s: float, timeout_s: float, only_whole: bool = False) -> str | None:
        """A text not older than `max_age_s`, to be parsed by text.py; None if there is none in time or, with
        `only_whole`, if it is too long or broke off."""
        newest = self._newest.get(source)
        if newest is not None and newest.at > anyio.current_time() - max_age_s:
            return newest.text if newest.is_whole or not only_whole else None
        try:
            with anyio.fail_after(timeout_s):
                response = await self.ask(source)
        except (OSError, TimeoutError):
            return None
        return self._newest[source].text if response.status == 200 and (response.is_whole or not only_whole) else None

    async def of(self, units: Iterable[str], *, max_age_s: float, timeout_s: float) -> dict[str, str]:
        """Texts of several units, requested side by side; units that do not answer are left out without delaying
        others."""
        found: dict[str, str] = {}

        async def look(unit: str) -> None:
            text = await self.get(self.sources[unit], max_age_s=max_age_s, timeout_s=timeout_s)
            if text is not None:
                found[unit] = text

        async with anyio.create_task_group() as tasks:
            for unit in units:
                if unit in self.sources:
                    tasks.start_soon(look, unit)
        return found


class _Scrape(Struct, frozen=True):
    text: str
    is_whole: bool
    at: float
    """When it arrived, by anyio's clock."""


class _UnderWay(Struct):
    over: anyio.Event = field(default_factory=anyio.Event)
    answer: Response | OSError | None = None
    """None if the requesting caller has given up."""


async def _answer(source: HttpGet) -> Response | OSError:
    try:
        return await request(source.host, source.port, source.path)
    except OSError as error:
        return error


def _unless_error(answer: Response | OSError) -> Response:
    if isinstance(answer, OSError):
        raise answer
    return answer


def _text(response: Response) -> str:
    """The text up to the last whole line: a truncated line could mean something else."""
    body = response.body
    lines = body if response.is_whole else body[: body.rfind(b"\n") + 1]
    return lines.decode(errors="replace")


def _source(plan: Plan, unit: Unit) -> HttpGet | None:
    if unit.role is Role.FRONTEND and plan.frontend is not None:
        return HttpGet(plan.frontend.port, _PATH, local_host(plan.frontend.host))
    name = "http" if unit.role is Role.LMCACHE else "system" if unit.role.is_worker else ""
    return HttpGet(unit.ports[name], _PATH, unit.host) if name in unit.ports else None
