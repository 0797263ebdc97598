"""Waiting for a standby's imports, which may hang, and checking that they are still the ones that are installed."""

from __future__ import annotations

import anyio

from dynkv.children.standby import StandbyFailed, StandbyProcess
from dynkv.children.standby_parked import Origin
from dynkv.host.processes import read_process
from dynkv.park.lot import Installation
from dynkv.park.stamp import change, installation

_STALLED_S = 30.0
"""Imports that use almost no CPU for this long have hung, and would hang in the worker too."""
_STALLED_TICKS = 20


async def until_parked(standby: StandbyProcess, python: str) -> Installation:
    """Return when all modules are imported, with what they come from. Raises StandbyFailed if that fails or hangs."""
    origin = Origin()
    failure = f"its imports have not moved for {_STALLED_S:g} s"
    async with anyio.create_task_group() as tasks:

        async def watch_progress() -> None:
            await _stall(standby)
            tasks.cancel_scope.cancel()

        tasks.start_soon(watch_progress)
        try:
            origin = await standby.parked()
            failure = ""
        except StandbyFailed as error:
            failure = str(error)
        tasks.cancel_scope.cancel()
    if failure:
        raise StandbyFailed(failure)
    return await anyio.to_thread.run_sync(installation, python, origin)


async def check(standby: StandbyProcess, found: Installation | None) -> None:
    """Raises StandbyFailed if a program must not start from it now. It has imported what was `found`, if that is
    known."""
    if standby.child.is_stopped:
        raise StandbyFailed("it was stopped by a signal")
    if found and (what := await anyio.to_thread.run_sync(change, found)):
        raise StandbyFailed(f"the stack's installation has changed: {what}")


async def _stall(standby: StandbyProcess) -> None:
    """Return when the process has done almost nothing for a while."""
    used, since = -_STALLED_TICKS, anyio.current_time()
    while anyio.current_time() < since + _STALLED_S:
        process = read_process(standby.child.pid)
        if process is not None and process.cpu_ticks >= used + _STALLED_TICKS:
            used, since = process.cpu_ticks, anyio.current_time()
        await anyio.sleep(1.0)
