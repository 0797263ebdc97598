"""The command line of a standby: the arguments of instack/standby.py, and the space that it needs."""

from __future__ import annotations

from collections.abc import Sequence

from dynkv.instack import script

ROOM = {"DYNKV_ROOM": "." * 32 * 1024}
"""Space in which a forked program shows its own arguments and environment in /proc; they take some 4 KB."""


def words(python: Sequence[str], modules: Sequence[str], channel: int, *, cuda: bool, spawns: bool) -> list[str]:
    """The words. `channel`: the descriptor's number in the standby; the rest as for StandbyProcess.spawn."""
    flags = [flag for flag, is_set in (("--cuda", cuda), ("--spawns", spawns)) if is_set]
    return [*python, script("standby"), *flags, str(channel), *modules]
