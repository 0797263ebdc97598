"""All routes of the control API: requests are dispatched by this table, and the reference is made from it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from msgspec import Struct

from dynkv.control.answers import Answers, Named
from dynkv.control.http import Reply, Request

Handler = Callable[[Answers, Request, Named], Awaitable[Reply]]


class Route(Struct, frozen=True):
    method: str
    path: str
    """The path, with names in braces for variable segments."""
    handler: Handler
    status: int
    """Status of success."""
    answer: str
    """The contents of the body."""
    description: str
    errors: tuple[tuple[int, str], ...] = ()
    """Other statuses, and when they occur; the body is then `{"error": …}`."""


_GOING_DOWN = (409, "the deployment is being taken down")
_NO_UNIT = (404, "there is no such unit; the error lists the units")

ROUTES = (
    Route("GET", "/healthz", Answers.health, 200, "`ok`", "The supervisor answers."),
    Route(
        "GET",
        "/metrics",
        Answers.metrics,
        200,
        "Prometheus text, 0.0.4",
        "dynkv's own metrics, and the units' counts of requests.",
    ),
    Route(
        "GET",
        "/v1/status",
        Answers.status,
        200,
        "the status document",
        "How the deployment is, as `dynkv status --json` prints it.",
    ),
    Route(
        "GET",
        "/v1/events",
        Answers.events,
        200,
        "server-sent events, each with an event as JSON",
        "The last 1000 events, then new ones as they come. `Last-Event-ID` names the last one that a client saw.",
        ((400, "`Last-Event-ID` is not a number"),),
    ),
    Route(
        "POST",
        "/v1/units/{name}/restart",
        Answers.restart,
        202,
        '`{"unit": …, "asked": "restart"}`',
        "End a unit and start it again.",
        (_NO_UNIT, _GOING_DOWN),
    ),
    Route(
        "POST",
        "/v1/units/{name}/start",
        Answers.start,
        202,
        '`{"unit": …, "asked": "start"}`',
        "Start a unit that was stopped or has failed, or is in backoff.",
        (_NO_UNIT, _GOING_DOWN),
    ),
    Route(
        "POST",
        "/v1/units/{name}/stop",
        Answers.stop,
        202,
        '`{"unit": …, "asked": "stop"}`',
        "Stop a unit; it stays stopped until it is started.",
        (_NO_UNIT, _GOING_DOWN),
    ),
    Route(
        "POST",
        "/v1/roles/{role}/scale/{n}",
        Answers.scale,
        202,
        '`{"role": …, "asked": n}`',
        "Run n workers of a role, healthy ones first, and stop the rest.",
        ((400, "no workers have that role, the plan has fewer, or n is not a number"),),
    ),
    Route(
        "POST",
        "/v1/release",
        Answers.release,
        202,
        '`{"name": …, "asked": "release"}`',
        "End the supervisor but no unit; `dynkv up` takes over what it leaves.",
        (_GOING_DOWN, (409, "the supervisor runs in the foreground")),
    ),
    Route("POST", "/v1/down", Answers.down, 202, '`{"name": …, "asked": "down"}`', "Take the deployment down."),
)
