"""The basic output of every verb, without rich: a line, a note or an error."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from dynkv.cli.ink import Ink
from dynkv.readable import readable

if TYPE_CHECKING:
    from dynkv.errors import DynkvError


def say(text: str) -> None:
    print(Ink(sys.stdout).fold(text), flush=True)  # noqa: T201


def show_document(text: str) -> None:
    """Print a document as it is; in a terminal, without control sequences."""
    print(readable(text) if sys.stdout.isatty() else text, end="")  # noqa: T201


def note(text: str) -> None:
    """Print to stderr, so that a pipe does not receive it."""
    print(Ink(sys.stderr).paint(text, "dim"), file=sys.stderr, flush=True)  # noqa: T201


def show_error(error: DynkvError) -> None:
    """Print an error in one format: what, where, the relevant lines, and what to do next."""
    from dynkv.secrets import masked  # not needed if all goes well

    ink = Ink(sys.stderr)
    what, where, detail, hint = map(masked, (error.what, error.where, error.detail, error.hint))
    lines = [ink.fold(what, label="error: ", label_style="bold red")]
    if where:
        lines.append(ink.fold(where, label="  at ", label_style="dim"))
    if detail:
        lines.append(ink.fold(detail, "dim"))
    if hint:
        lines.append(ink.fold(hint, label="  hint: ", label_style="cyan"))
    print("\n".join(lines), file=sys.stderr)  # noqa: T201
