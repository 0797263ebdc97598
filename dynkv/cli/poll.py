"""The one way in which a verb waits: look, and look again when the supervisor has news."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from msgspec import Struct

from dynkv.cli.deployments import Deployment
from dynkv.control.client import SupervisorGone
from dynkv.control.deadline import Deadline
from dynkv.control.news import News
from dynkv.errors import TimedOut

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.01, 0.5
"""Pauses between looks without an event: not everything to wait for is one, such as a log's newest line or a
released lock. Short after something has happened, long when nothing does."""
SILENT = "its supervisor does not answer"

T = TypeVar("T")


class NotYet(Struct, frozen=True):
    """The awaited thing is not there yet."""

    why: str
    """The current state, in words."""
    hint: str = ""
    """What to do about it, where it is not what there is to do in general."""
    again_s: float | None = None
    """When it may be there without any news, where that is known."""


def poll(until: Callable[[], T | NotYet], deadline: Deadline, deployment: Deployment, *, goal: str, hint: str) -> T:
    """The result of `until`, which is called at least once, and a last time shortly before the deadline.

    A live supervisor may be slow to answer on a host that is busy starting engines. If it has died, SupervisorGone is
    raised, as is anything else that `until` raises.

    Raises TimedOut with `goal`, how long it took, and why.
    """
    pause_s = _FIRST_PAUSE_S
    with News(deployment.socket) as news:
        while isinstance(found := _look(until, deployment), NotYet):
            if deadline.is_past:
                raise TimedOut(f"{goal} after {deadline.given_s:g} s: {found.why}", hint=found.hint or hint)
            has_news = news.wait(deadline.cut(pause_s if found.again_s is None else found.again_s))
            pause_s = _FIRST_PAUSE_S if has_news else min(2 * pause_s, _LONGEST_PAUSE_S)
    return found


def _look(until: Callable[[], T | NotYet], deployment: Deployment) -> T | NotYet:
    try:
        return until()
    except SupervisorGone:
        if not deployment.is_supervised:
            raise
        return NotYet(SILENT)
