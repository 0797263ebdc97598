"""The supervisor's answer to each request of the control API."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

from msgspec.structs import replace

from dynkv.control.http import Reply, Request, error_reply, json_reply
from dynkv.documents import encoded
from dynkv.metrics.families import TEXT, as_text
from dynkv.metrics.own import OwnFigures
from dynkv.metrics.traffic import traffic
from dynkv.probes.scrape import Figures
from dynkv.supervisor.events import Event, EventLog
from dynkv.supervisor.inbox import Ask
from dynkv.supervisor.stack import Stack

_DIGITS = 18
"""Most digits of a number that is accepted."""
Named = Mapping[str, str]
"""The values in a path for the names in braces of its route."""


class Answers:
    """One method for each route."""

    def __init__(self, stack: Stack, events: EventLog, figures: Figures, own: OwnFigures) -> None:
        self._stack = stack
        self._events = events
        self._figures = figures
        self._own = own

    async def health(self, request: Request, named: Named) -> Reply:
        return Reply(200, b"ok\n", "text/plain")

    async def metrics(self, request: Request, named: Named) -> Reply:
        passed_on = await traffic(self._stack.plan, self._figures)
        return Reply(200, (as_text(await self._own.families()) + passed_on).encode(), TEXT)

    async def status(self, request: Request, named: Named) -> Reply:
        status = self._stack.status()
        return json_reply(200, replace(status, gpus=await self._own.gpus.of(status.units)))

    async def events(self, request: Request, named: Named) -> Reply:
        """Send server-sent events; a client that reconnects gives the last one it saw. Source: WHATWG HTML, 9.2."""
        after = request.headers.get(b"last-event-id", b"0") or b"0"
        if not after.isdigit() or len(after) > _DIGITS:
            return error_reply(400, "Last-Event-ID must be the number of an event")
        return Reply(200, self._pieces(int(after)), "text/event-stream")

    async def restart(self, request: Request, named: Named) -> Reply:
        return self._ask(named["name"], Ask.RESTART)

    async def start(self, request: Request, named: Named) -> Reply:
        return self._ask(named["name"], Ask.START)

    async def stop(self, request: Request, named: Named) -> Reply:
        return self._ask(named["name"], Ask.STOP)

    async def scale(self, request: Request, named: Named) -> Reply:
        role, number = named["role"], named["n"]
        if not (number.isascii() and number.isdecimal() and len(number) <= _DIGITS):
            return error_reply(400, "the number of workers must be a whole number")
        try:
            self._stack.scale(role, int(number))
        except ValueError as refused:
            return error_reply(400, str(refused))
        return json_reply(202, {"role": role, "asked": int(number)})

    async def down(self, request: Request, named: Named) -> Reply:
        self._stack.take_down("requested through the control API")
        return json_reply(202, {"name": self._stack.plan.name, "asked": "down"})

    async def release(self, request: Request, named: Named) -> Reply:
        if self._stack.is_foreground:
            return error_reply(
                409, "the supervisor runs in the foreground: the program that started it may end what it leaves"
            )
        if not self._stack.release("requested through the control API"):
            return error_reply(409, "the deployment is being taken down")
        return json_reply(202, {"name": self._stack.plan.name, "asked": "release"})

    def _ask(self, unit: str, ask: Ask) -> Reply:
        known = [it.name for it in self._stack.plan.units]
        if unit not in known:
            return error_reply(404, f"no unit named {unit!r}; available: {', '.join(known)}")
        if not self._stack.ask(unit, ask, f"{ask} requested through the control API"):
            return error_reply(409, "the deployment is being taken down")
        return json_reply(202, {"unit": unit, "asked": ask})

    async def _pieces(self, after: int) -> AsyncIterator[bytes]:
        async for event in self._events.follow(after):
            yield _as_sse(event)


def _as_sse(event: Event) -> bytes:
    return b"id: %d\ndata: %s\n\n" % (event.seq, encoded(event))
