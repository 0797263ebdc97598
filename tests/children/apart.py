"""Scripts that give up rights, descriptors or system calls for good: each runs in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

NOBODY = 65534
BECOME_NOBODY = f"""
import ctypes, os
def become_nobody():
    os.setgroups([])
    os.setresgid({NOBODY}, {NOBODY}, {NOBODY})
    os.setresuid({NOBODY}, {NOBODY}, {NOBODY})
    ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)  # PR_SET_DUMPABLE: /proc shows it its own parts again
"""
"""Called after all imports: where the interpreter lies, nobody else may be able to read."""

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can run processes of several users")


def told(script: str, *words: str, under: tuple[str, ...] = ()) -> Any:
    """What a script prints as JSON on its last line; `under` is what it is started with."""
    done = subprocess.run([*under, sys.executable, "-c", script, *words], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def with_hidden_processes(level: int) -> tuple[str, ...]:
    """What to start a script with, so that its /proc keeps the processes of other users to itself.

    A new mount: to mount the one that is there anew would change it for the whole host. Source: proc(5), hidepid.
    """
    alone = ("unshare", "--mount", "--propagation", "private")
    tried = subprocess.run([*alone, "true"], capture_output=True, text=True)
    if tried.returncode != 0:
        pytest.skip(f"this host gives no mount namespace: {tried.stderr.strip()}")
    return (*alone, "sh", "-c", f'mount -t proc -o hidepid={level} proc /proc && exec "$@"', "sh")
