"""Carrying out a plan's preparations before anything starts."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable
from pathlib import Path

from dynkv.errors import PreflightRefused
from dynkv.plan.steps import MakeDirectory, Run, Step
from dynkv.surroundings import of_stack

_TOLD_MAX = 2000
"""Characters of a failed program's last output to show."""


def prepare(steps: Iterable[Step]) -> None:
    """Carry out the steps in order. Raises PreflightRefused for the first that fails."""
    for step in steps:
        match step:
            case MakeDirectory():
                _make_directory(step)
            case Run():
                _run(step)


def _make_directory(step: MakeDirectory) -> None:
    try:
        Path(step.path).mkdir(mode=step.mode, parents=True, exist_ok=True)
    except OSError as error:
        raise PreflightRefused(
            f"the directory {step.path} ({step.purpose}) could not be created: {error.strerror or error}",
            hint="create it yourself, or choose another one",
        ) from None


def _run(step: Run) -> None:
    if os.path.exists(step.unless_exists):
        return
    try:
        done = subprocess.run(
            step.argv,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            env=of_stack(os.environ),
        )
    except OSError as error:
        raise _failed(step, str(error)) from None
    if done.returncode != 0:
        raise _failed(step, done.stderr)


def _failed(step: Run, told: str) -> PreflightRefused:
    detail = told.strip()[-_TOLD_MAX:]
    return PreflightRefused(
        f"{step.purpose} could not be created", where=step.unless_exists, hint=step.hint, detail=detail
    )
