"""Programs that put themselves into the background: the started process exits with 0, and another one that it left
continues.

Source: daemon(7), "SysV Daemons".
"""

from __future__ import annotations

import anyio

from dynkv.children.child import Child
from dynkv.plan.model import Role

_EARLY_S = 60.0
"""Most seconds until such an exit: some programs wait until the process they leave behind answers; a later exit has
another reason."""
_PATIENCE_S = 1.0
"""How long to watch the remaining processes: what a program started may end a moment after it."""
_PAUSE_S = 0.05


async def goes_on_without(child: Child, role: Role, lived_s: float | None) -> bool:
    """Whether a custom unit that has just exited with 0 has left processes that keep running.

    `lived_s` is the time since it was spawned, None if another supervisor did that. Its tree has not been ended yet.
    """
    is_early = lived_s is not None and lived_s < _EARLY_S
    if role is not Role.UNIT or child.exit is None or child.exit.code != 0 or not is_early:
        return False
    with anyio.move_on_after(_PATIENCE_S):
        while left := child.tree():
            if any(process.sid != child.pid for process in left):
                return True
            await anyio.sleep(_PAUSE_S)  # other programs' processes notify nobody
        return False
    return True
