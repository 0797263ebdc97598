"""Programs that put themselves into the background: what was started ends well, and goes on as a process that it left.

Source: daemon(7), "SysV Daemons".
"""

from __future__ import annotations

import anyio

from dynkv.children.child import Child
from dynkv.plan.model import Role

_EARLY_S = 60.0
"""Some wait until what they have left behind answers; what ends later has done so for another reason."""
_PATIENCE_S = 1.0
"""What a program started may end a moment after it."""
_PAUSE_S = 0.05


async def goes_on_without(child: Child, role: Role, lived_s: float | None) -> bool:
    """Whether a custom unit that has just exited with 0 has left processes which live on.

    `lived_s`: since it was spawned, None where that was done by another supervisor. Its tree is not ended yet.
    """
    is_early = lived_s is not None and lived_s < _EARLY_S
    if role is not Role.UNIT or child.exit is None or child.exit.code != 0 or not is_early:
        return False
    with anyio.move_on_after(_PATIENCE_S):
        while left := child.tree():
            if any(process.sid != child.pid for process in left):
                return True
            await anyio.sleep(_PAUSE_S)  # other people's processes tell nobody
        return False
    return True
