"""A /proc that shows only processes, and nothing else of the host, like a mount with `subset=pid`."""

from __future__ import annotations

import subprocess

import pytest
from apart import as_root, in_a_mount_namespace, told

LOOK = """
import json, os
from dynkv.host.memory import memory_available_bytes
from dynkv.host.oom import oom_kills
from dynkv.host.processes import read_process
print(json.dumps([memory_available_bytes() > 0, oom_kills(), read_process(os.getpid()) is not None]))
"""
MOUNT = "mount -t proc -o subset=pid proc /proc"


@as_root
def test_what_is_not_told_ends_nothing() -> None:
    under = in_a_mount_namespace(MOUNT)
    tried = subprocess.run([*under, "true"], capture_output=True, text=True)
    if tried.returncode != 0:
        pytest.skip(f"this kernel has no such /proc: {tried.stderr.strip()}")
    assert told(LOOK, under=under) == [True, 0, True]
