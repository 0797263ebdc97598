"""The command line of a standby: the arguments of instack/standby.py, and the space that it needs."""

from __future__ import annotations

from dynkv.instack import script
from dynkv.plan.model import Standby

ROOM = {"DYNKV_ROOM": "." * 32 * 1024}
"""Space in which a forked program shows its own arguments and environment in /proc; they take some 4 KB."""


def words(python: str, standby: Standby, channel: int) -> list[str]:
    """The words. `channel`: the descriptor's number in the standby."""
    flags = [flag for flag, is_set in (("--cuda", standby.cuda), ("--spawns", standby.spawns)) if is_set]
    late = [word for name in standby.late for word in ("--late", name)]
    return [python, *standby.python_options, script("standby"), *flags, *late, str(channel), *standby.modules]
