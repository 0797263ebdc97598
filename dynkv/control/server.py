"""The control API: HTTP over a Unix socket that only its owner can open."""

from __future__ import annotations

from dynkv.control.answers import Answers
from dynkv.control.forgery import forged
from dynkv.control.http import Reply, Request, error_reply
from dynkv.control.routes import ROUTES
from dynkv.control.routing import Refused, find
from dynkv.metrics.own import OwnFigures
from dynkv.probes.scrape import Figures, sources
from dynkv.supervisor.events import EventLog
from dynkv.supervisor.stack import Stack


class ControlApi:
    """Answers each request according to the table of routes."""

    def __init__(self, stack: Stack, events: EventLog, figures: Figures | None = None) -> None:
        """`figures`: what other tasks of this supervisor have read from the units."""
        self.own = OwnFigures(stack)
        """The supervisor's own metrics."""
        self._answers = Answers(stack, events, figures or Figures(sources(stack.plan)), self.own)

    async def answer(self, request: Request) -> Reply:
        if why := forged(request.method, request.headers):
            return error_reply(403, why)
        found = find(ROUTES, request.method, request.path)
        if isinstance(found, Refused):
            return error_reply(found.status, found.why, allow=found.allow)
        return await found.route.handler(self._answers, request, found.named)
