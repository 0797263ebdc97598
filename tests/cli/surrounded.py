"""`up` of one unit in unusual surroundings, and what /proc shows of its processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from command import UNITS, Command, until

ONE = UNITS + "  - {name: one, argv: [sleep, '1000']}\n"


def started(dynkv: Command, *words: str, **more: Any) -> subprocess.CompletedProcess[str]:
    """`more` is passed to subprocess; the profile is mine.yaml in the command's directory."""
    profile = dynkv.directory / "mine.yaml"
    profile.write_text(ONE)
    options = {"cwd": dynkv.directory, "env": dynkv.env, "timeout": 90, **more}
    argv = [sys.executable, "-m", "dynkv", "up", str(profile), *words]
    return subprocess.run(argv, capture_output=True, text=True, **options)


def unit_of(dynkv: Command) -> int:
    """The unit's pid, once the journal has it."""
    return until(lambda: dynkv.pids().get("one", 0))


def environ(pid: int) -> dict[str, str]:
    words = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    return {
        os.fsdecode(name): os.fsdecode(value) for name, _, value in (word.partition(b"=") for word in words) if name
    }
