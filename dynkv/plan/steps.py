"""What has to be there before anything starts, as steps: carried out once by `up`, printed by `plan --shell`. Data."""

from __future__ import annotations

import shlex

import msgspec

# no dataclasses, as everything else in a plan: msgspec decodes a union of these alone


class MakeDirectory(msgspec.Struct, frozen=True, tag="make_directory", tag_field="step"):
    """Make a directory, and those above it. One that is there stays as it is."""

    path: str
    """Absolute."""
    mode: int
    """Of the directory itself; those above it get the usual one."""
    purpose: str
    """What it is, in words."""


class Run(msgspec.Struct, frozen=True, tag="run", tag_field="step"):
    """Run a program to its end, unless what it makes is there."""

    argv: tuple[str, ...]
    unless_exists: str
    """A path that is there when it has been run."""
    purpose: str
    """What it makes, in words."""
    hint: str
    """What to look at when it fails."""


Step = MakeDirectory | Run


def in_words(step: Step) -> str:
    """As an order: make this, run that."""
    match step:
        case MakeDirectory():
            return f"make {step.path}, mode {step.mode:04o} ({step.purpose})"
        case Run():
            return f"run {shlex.join(step.argv)}, unless {step.unless_exists} is there ({step.purpose})"
