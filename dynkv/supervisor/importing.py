"""Waiting for a standby's imports, which may hang."""

from __future__ import annotations

import anyio

from dynkv.children.standby import StandbyFailed, StandbyProcess
from dynkv.host.processes import read_process

_STALLED_S = 30.0
"""Imports that use almost no CPU for this long have hung, and would hang in the worker too."""
_STALLED_TICKS = 20


async def until_parked(standby: StandbyProcess) -> None:
    """Return when all modules are imported. Raises StandbyFailed if that fails or hangs."""
    failure = f"its imports have not moved for {_STALLED_S:g} s"
    async with anyio.create_task_group() as tasks:

        async def watch_progress() -> None:
            await _stall(standby)
            tasks.cancel_scope.cancel()

        tasks.start_soon(watch_progress)
        try:
            await standby.parked()
            failure = ""
        except StandbyFailed as error:
            failure = str(error)
        tasks.cancel_scope.cancel()
    if failure:
        raise StandbyFailed(failure)


async def _stall(standby: StandbyProcess) -> None:
    """Return when the process has done almost nothing for a while."""
    used, since = -_STALLED_TICKS, anyio.current_time()
    while anyio.current_time() < since + _STALLED_S:
        process = read_process(standby.child.pid)
        if process is not None and process.cpu_ticks >= used + _STALLED_TICKS:
            used, since = process.cpu_ticks, anyio.current_time()
        await anyio.sleep(1.0)
