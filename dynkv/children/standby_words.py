"""How a standby is called, by whoever starts one: instack/standby.py's arguments, and the room that it needs."""

from __future__ import annotations

from collections.abc import Sequence

from dynkv.instack import script

ROOM = {"DYNKV_ROOM": "." * 32 * 1024}
"""Where a program that is forked off shows its own arguments and environment in /proc; they take some 4 KB."""


def words(python: Sequence[str], modules: Sequence[str], channel: int, *, cuda: bool, spawns: bool) -> list[str]:
    """`channel`: the descriptor as the standby finds it; the rest as StandbyProcess.spawn has it."""
    flags = [flag for flag, is_set in (("--cuda", cuda), ("--spawns", spawns)) if is_set]
    return [*python, script("standby"), *flags, str(channel), *modules]
