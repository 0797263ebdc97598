"""Keeping a living worker's entries in discovery."""

from __future__ import annotations

from contextlib import closing

import anyio

from dynkv.children.child import Child
from dynkv.reclaim.discovery import Entries
from dynkv.supervisor.event_kinds import EventKind
from dynkv.supervisor.life import Life
from dynkv.supervisor.states import State

_PERIOD_S = 2.0
_UNROUTED_S = 60.0
"""How long a ready worker may be missing from discovery; normally it is there within a second."""


async def until_unrouted(life: Life, child: Child, first_ready: anyio.Event) -> str:
    """Restore expired entries while the worker lives; returns why it must be restarted, if nothing is routed to it."""
    directory = life.shared.discovery_dir
    if directory is None or not life.unit.role.is_worker:
        await anyio.sleep_forever()
        raise AssertionError("never comes back")
    await first_ready.wait()
    seen_at, error = anyio.current_time(), ""
    with closing(Entries(directory, lambda: [process.pid for process in child.tree()])) as entries:
        while True:
            if life.state is State.READY and not child.is_stopped:
                error = _keep(life, entries, error)
            if life.state is not State.READY or not entries.is_unknown:
                seen_at = anyio.current_time()
            elif anyio.current_time() > seen_at + _UNROUTED_S:
                return "it is not in discovery, so that nothing is routed to it"
            await anyio.sleep(_PERIOD_S)


def _keep(life: Life, entries: Entries, told: str) -> str:
    """Restore entries; returns what went wrong, if not yet reported in `told`."""
    try:
        back = entries.keep()
    except OSError as error:
        if str(error) != told:
            life.event(EventKind.DISCOVERY, f"entries that expired could not be written again: {error}")
        return str(error)
    if back:
        cause = "they expired, as the worker could not touch them in time, or were removed with their directory"
        life.event(EventKind.DISCOVERY, f"wrote {len(back)} entries again", cause=cause, entries=back)
    return ""
