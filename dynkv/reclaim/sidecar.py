"""A dead worker's registration at the LMCache server, which keeps its KV cache mapped until it is released.

On a GPU that is most of the memory (measured: 69,875 MiB of an H200). Three ways, each with a deadline: tell the
server, wait for its reaper, or restart it, which loses its L1.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from enum import StrEnum
from pathlib import Path

import anyio
from msgspec import Struct

from dynkv.children.child import Child
from dynkv.children.stop import kill_tree
from dynkv.instack import script
from dynkv.probes.http import Response, request
from dynkv.probes.registered import registered_in
from dynkv.reclaim.registrations import Registrations as Registrations
from dynkv.reclaim.registrations import registrations_in as registrations_in

_TELL_DEADLINE_S = 30.0
"""The helper's deadline in seconds: its imports alone take 5 s."""
_REAPER_SLACK_S = 15.0
_PERIOD_S = 0.5
_STATUS_WITHIN_S, _THERE_WITHIN_S = 5.0, 2.0


class Outcome(StrEnum):
    """The result, in words for an event."""

    NOTHING = "nothing was registered"
    RELEASED = "released"
    REAPED = "released by the sidecar's own reaper"
    KEPT = "still registered"
    UNKNOWN = "the sidecar does not answer"


class Sidecar(Struct, frozen=True):
    """How to reach an LMCache server of a deployment, and how to run its own client."""

    name: str
    python: str
    env: Mapping[str, str]
    zmq_port: int
    http_port: int
    reap_timeout_s: float
    log: Path
    """The file for the helper's output."""
    start_parked: Callable[[Sequence[str]], Awaitable[Child | None]] | None = None
    """Starts the helper from a process with its imports done; returns None if that is impossible."""


async def registered(sidecar: Sidecar) -> Registrations | None:
    """All registrations that the server holds; None if it does not answer."""
    said = await _answer(sidecar, "/status", _STATUS_WITHIN_S)
    return None if said is None else registered_in(said.body)


async def is_there(sidecar: Sidecar) -> bool:
    """Whether it answers, with any status."""
    return await _answer(sidecar, "/healthcheck", _THERE_WITHIN_S) is not None


async def _answer(sidecar: Sidecar, path: str, within_s: float) -> Response | None:
    try:
        with anyio.fail_after(within_s):
            return await request("127.0.0.1", sidecar.http_port, path)
    except (OSError, TimeoutError):
        return None


async def release(sidecar: Sidecar, dead: Registrations, *, holds_gpu: bool) -> Outcome:
    """Release the dead worker's registrations and no others; returns the outcome.

    Waiting for the reaper is only worthwhile if GPU memory depends on it.
    """
    held = await registered(sidecar)
    if held is None:
        return Outcome.UNKNOWN
    if not dead & held:
        return Outcome.NOTHING
    await _tell(sidecar, dead & held)
    if await _is_gone(sidecar, dead):
        return Outcome.RELEASED
    if holds_gpu and sidecar.reap_timeout_s > 0:
        with anyio.move_on_after(sidecar.reap_timeout_s + _REAPER_SLACK_S):
            while not await _is_gone(sidecar, dead):  # noqa: ASYNC110 (another process's state)
                await anyio.sleep(_PERIOD_S)
            return Outcome.REAPED
    return Outcome.KEPT if await registered(sidecar) is not None else Outcome.UNKNOWN


async def _is_gone(sidecar: Sidecar, dead: Registrations) -> bool:
    held = await registered(sidecar)
    return held is not None and not dead & held


async def _tell(sidecar: Sidecar, dead: Registrations) -> None:
    """Run LMCache's own client in the stack's interpreter; the server's /status shows whether it succeeded."""
    argv = [sidecar.python, script("release_registration"), str(sidecar.zmq_port), *sorted(dead)]
    parked = await sidecar.start_parked(argv) if sidecar.start_parked else None
    try:
        helper = parked or Child.spawn(argv, sidecar.env, sidecar.log)
    except OSError:  # the server's own reaper will do the same later
        return
    try:
        async with anyio.create_task_group() as watching:
            watching.start_soon(helper.watch)
            with anyio.move_on_after(_TELL_DEADLINE_S):
                await helper.exited.wait()
            watching.cancel_scope.cancel()
    finally:
        with anyio.CancelScope(shield=True):
            await kill_tree(helper.tree)
        helper.reap()
