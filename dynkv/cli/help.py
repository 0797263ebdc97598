"""The help of dynkv itself: three groups on one small screen, without typer, which would take half a second."""

from __future__ import annotations

import sys

from dynkv.cli.ink import Ink
from dynkv.cli.verbs import VERBS, Verb

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_HEAD = "dynkv runs NVIDIA Dynamo's vLLM backend with LMCache on one machine."
_USAGE = "dynkv VERB …, and `dynkv VERB --help` for what it takes, with examples"
_OPTIONS = "--version, --debug (tracebacks of faults in dynkv), --help"
_WIDTH = 80
_COLUMN = 40
_NAME = 12


def print_help() -> None:
    print(help_text(Ink(sys.stdout)))  # noqa: T201


def help_text(ink: Ink) -> str:
    """The help text, with two verbs to a line if the terminal is wide enough."""
    columns = 2 if (ink.width or _WIDTH) >= _WIDTH else 1
    lines = [*_labelled(ink, "", _HEAD), *_labelled(ink, "Usage: ", _USAGE)]
    for group in dict.fromkeys(verb.group for verb in VERBS):
        verbs = [verb for verb in VERBS if verb.group == group]
        lines += ["", ink.paint(group, "bold"), *_rows(ink, verbs, columns)]
    text = "\n".join([*lines, "", *_labelled(ink, "Options: ", _OPTIONS)])
    return text if "utf" in (sys.stdout.encoding or "").lower() else text.replace("…", "...")


def _labelled(ink: Ink, label: str, text: str) -> Iterator[str]:
    yield ink.fold(text, label=label, label_style="bold")


def _rows(ink: Ink, verbs: Sequence[Verb], columns: int) -> Iterator[str]:
    """Lines of columns that are read from top to bottom."""
    height = -(-len(verbs) // columns)
    for row in range(height):
        cells = [(verb.name, verb.short) for verb in verbs[row::height]]
        padded = [f"  {ink.paint(name, 'cyan')}{' ' * (_NAME - len(name))}{short}" for name, short in cells]
        room = _COLUMN - 2 - _NAME - len(cells[0][1])
        yield (" " * room).join(padded)
