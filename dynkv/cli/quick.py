"""The most frequent commands, handled before anything large is imported: typer alone takes 90 ms, rich 60.

Only their plainest forms; anything else on the command line, or out of the ordinary, is left to commands.py.
"""

from __future__ import annotations

import os

from dynkv import __version__

TYPE_CHECKING = False  # a quick verb does without the import of typing
if TYPE_CHECKING:
    from typing import Any

_COMPLETION = "_DYNKV_COMPLETE"
"""Set by the shell to ask for completions. Source: click, "Shell Completion"."""
_NO_VERB = 2


def quick(words: list[str]) -> int | None:
    """The exit code if the command was handled; None if nothing was done. Raises DynkvError."""
    if _COMPLETION in os.environ:
        return None
    match words:
        case ["--version"]:
            print(f"dynkv {__version__}")  # noqa: T201
            return 0
        case ["--help"] | ["-h"]:
            _help()
            return 0
        case []:
            _help()
            return _NO_VERB
        case ["status", *rest] if (given := _name(rest, "--json")) is not None:
            from dynkv.cli.glance import glance

            return 0 if glance(*given, as_json="--json" in rest) else None
        case ["down", *rest] if (given := _name(rest)) is not None:
            from dynkv.interrupts import hold_back

            hold_back()
            from dynkv.cli.takedown import bring_down

            bring_down(*given)
            return 0
        case ["up", *rest]:
            from dynkv.cli.plain import UP, plainly

            if (parameters := plainly(rest, "profile", UP)) is not None:
                _bring_up(parameters)
                return 0
    return None


def _bring_up(parameters: dict[str, Any]) -> None:
    from dynkv.cli.postponed import RARELY_USED, postpone
    from dynkv.interrupts import hold_back

    hold_back()
    for name in RARELY_USED:
        postpone(name)
    from dynkv.cli.bringup import bring_up

    bring_up(**parameters)


def _help() -> None:
    from dynkv.cli.help import print_help

    print_help()


def _name(words: list[str], option: str = "") -> tuple[str | None] | None:
    """The one name in `words`, or a tuple of None if there is none; None if there are other words than `option`."""
    rest = [word for word in words if word != option]
    if len(rest) > 1 or len(words) - len(rest) > 1 or any(word.startswith("-") for word in rest):
        return None
    return (rest[0] if rest else None,)
