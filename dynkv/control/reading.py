"""The read-only listener: metrics for Prometheus over TCP, and nothing that changes anything."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable
from functools import partial
from ipaddress import ip_address

import anyio

from dynkv.control.forgery import strange_host
from dynkv.control.http import Answer, Reply, Request, error_reply, json_reply, serve
from dynkv.metrics.families import OPENMETRICS, TEXT, wants_openmetrics
from dynkv.metrics.history import keep_ledger
from dynkv.metrics.own import OwnFigures
from dynkv.metrics.targets import targets
from dynkv.metrics.whole import Whole
from dynkv.plan.model import Plan
from dynkv.plan.serving import Listener
from dynkv.probes.scrape import Figures
from dynkv.supervisor.event_kinds import EventKind
from dynkv.supervisor.events import EventLog

METHODS = ("GET", "HEAD")
_PAUSE_S = 2.0
_BACKLOG = 32


def watching(
    plan: Plan, figures: Figures, own: OwnFigures, events: EventLog, *, since: str
) -> dict[str, Callable[[], Awaitable[object]]]:
    """The tasks that serve metrics, by name; `since`: when the deployment was started."""
    work: dict[str, Callable[[], Awaitable[object]]] = {"the ledger": partial(keep_ledger, own.ledger, events, since)}
    if plan.metrics is not None:
        answers = ReadOnly(plan, figures, Whole(plan, figures, own.families))
        work["the listener for figures"] = partial(keep_listening, plan.metrics, answers.answer, events)
    return work


class ReadOnly:
    """Answers `/metrics` and `/sd`."""

    def __init__(self, plan: Plan, figures: Figures, whole: Whole) -> None:
        self._plan = plan
        self._figures = figures
        self._whole = whole
        self._is_local = plan.metrics is not None and ip_address(plan.metrics.host).is_loopback
        self._pages: dict[str, Callable[[Request], Awaitable[Reply]]] = {"/metrics": self._metrics, "/sd": self._sd}

    async def answer(self, request: Request) -> Reply:
        if self._is_local and (why := strange_host(request.headers)):
            return error_reply(403, why)  # a name that a web page has pointed at loopback
        page = self._pages.get(request.path)
        if page is None:
            return error_reply(404, f"available: {', '.join(self._pages)}")
        if request.method not in METHODS:
            return error_reply(405, "it is read-only", allow=METHODS)
        return await page(request)

    async def _metrics(self, request: Request) -> Reply:
        openmetrics = wants_openmetrics(request.headers.get(b"accept", b""))
        text = await self._whole.text(openmetrics=openmetrics)
        return Reply(200, text.encode(), OPENMETRICS if openmetrics else TEXT)

    async def _sd(self, request: Request) -> Reply:
        return json_reply(200, targets(self._plan, self._figures.sources))


async def keep_listening(listener: Listener, answer: Answer, events: EventLog) -> None:
    """Serve until cancelled. While something else has the port, that is reported once, and tried again."""
    told = ""
    while True:
        try:
            bound = _bound(listener)
        except OSError as error:
            words = f"metrics cannot be served on {listener.host}, port {listener.port}: {error.strerror or error}"
            if words != told:
                events.record(EventKind.PORT, words)
            told = words
            await anyio.sleep(_PAUSE_S)
            continue
        with bound:
            await serve(answer, bound, is_welcome=lambda client: True)


def _bound(listener: Listener) -> socket.socket:
    family = socket.AF_INET6 if ":" in listener.host else socket.AF_INET
    return socket.create_server((listener.host, listener.port), family=family, backlog=_BACKLOG)
