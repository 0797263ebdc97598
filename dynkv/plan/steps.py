"""Steps to take before anything starts, as data: `up` carries them out once, `plan --shell` prints them."""

from __future__ import annotations

import shlex

import msgspec


class MakeDirectory(msgspec.Struct, frozen=True, tag="make_directory", tag_field="step"):
    """Make a directory and its parents. An existing one is left as it is."""

    path: str
    """Absolute path."""
    mode: int
    """Mode of the directory itself; its parents get the usual one."""
    purpose: str
    """What it is, in words."""


class Run(msgspec.Struct, frozen=True, tag="run", tag_field="step"):
    """Run a program to its end, unless its result exists."""

    argv: tuple[str, ...]
    unless_exists: str
    """A path that exists once the program has run."""
    purpose: str
    """What it makes, in words."""
    hint: str
    """What to check if it fails."""


Step = MakeDirectory | Run


def in_words(step: Step) -> str:
    """The step as an instruction: make this, run that."""
    match step:
        case MakeDirectory():
            return f"make {step.path}, mode {step.mode:04o} ({step.purpose})"
        case Run():
            return f"run {shlex.join(step.argv)}, unless {step.unless_exists} is there ({step.purpose})"
