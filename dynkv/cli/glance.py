"""A quick status of a deployment that is healthy or down, without importing the status classes, which takes 30 ms."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable

from dynkv import __version__
from dynkv.cli.ink import Ink
from dynkv.cli.status_text import status_text
from dynkv.control.exchange import exchange
from dynkv.errors import UnknownDeployment
from dynkv.home import Place, deployments, home, place
from dynkv.owned import read_own

TYPE_CHECKING = False  # the quick way to a status does without the import of typing
if TYPE_CHECKING:
    from typing import Any

_JOURNAL_MAX_BYTES = 64 * 1024**2
_PATIENCE_S = 0.5
"""Time for the supervisor's answer; for a stopped or busy one, status.py waits longer."""


class _Document(dict):  # type: ignore[type-arg]
    """A JSON object whose members can be read like the attributes of the class that it was written from."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


def glance(name: str | None = None, *, as_json: bool) -> bool:
    """Show the status, and return whether that was possible. Raises UnknownDeployment; NotRunning if all are down."""
    known = deployments(home())
    if name is not None and name not in known:
        if os.path.lexists(home() / name):
            return False  # such as another user's
        raise UnknownDeployment(name, known)
    places = [place(home(), it) for it in ([name] if name else known)]
    running = [it for it in places if it.has_supervisor()]
    if len(running) == 1:
        return _show(running[0], as_json)
    are_down = not running and all(_read_journal(it).get("stopped") is True for it in places)
    if are_down and not (places and _left(places)):
        from dynkv.cli.at_rest import not_running

        raise not_running(places[0].name if len(places) == 1 else None)
    return False


def _left(places: Iterable[Place]) -> bool:
    """Whether any of their processes still runs, whatever the journals say."""
    from dynkv.interrupts import held_back

    with held_back():
        from dynkv.children.tree import Host, marked

    host = Host.now()
    return any(marked(host, str(it.home), it.name) for it in places)


def _show(where: Place, as_json: bool) -> bool:
    try:
        status, body = exchange(where.socket, _PATIENCE_S, "GET", "/v1/status")
        document = json.loads(body, object_hook=_Document)
        if status != 200 or document.supervisor.version != __version__:
            return False
        text = body.decode() if as_json else status_text(document, Ink(sys.stdout))
    except (OSError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError):
        return False  # status.py can say what is wrong with it
    print(text)  # noqa: T201
    return True


def _read_journal(where: Place) -> dict[str, Any]:
    """The journal; empty if there is none or it is damaged."""
    try:
        found = json.loads(read_own(where.journal, _JOURNAL_MAX_BYTES))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
