"""Scripts that give up rights, descriptors or system calls for good; each runs in a separate process."""

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
"""Call after all imports: the interpreter's directory may be readable only by root."""

FORBID = """
import ctypes, struct
def forbid(call, errno):
    # here, and in what is started from here; source: seccomp(2), linux/filter.h
    load, jump_if_equal, answer, deny, allow = 0x20, 0x15, 0x06, 0x00050000, 0x7FFF0000
    steps = [(load, 0, 0, 0), (jump_if_equal, 0, 1, call), (answer, 0, 0, deny | errno), (answer, 0, 0, allow)]
    program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.prctl(38, 1, 0, 0, 0) == 0  # PR_SET_NO_NEW_PRIVS
    filters = struct.pack("HxxxxxxP", len(steps), ctypes.addressof(program))
    assert libc.prctl(22, 2, filters) == 0, ctypes.get_errno()  # PR_SET_SECCOMP, SECCOMP_MODE_FILTER
"""
"""`forbid(call, errno)`: make this system call fail from now on."""
PIDFD_SEND_SIGNAL, PIDFD_OPEN = 424, 434
"""Numbers of system calls that are the same on every architecture. Source: asm-generic/unistd.h."""

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can run processes of several users")


def told(script: str, *words: str, under: tuple[str, ...] = ()) -> Any:
    """The JSON on the last line of a script's output; `under` is the command that runs it."""
    done = subprocess.run([*under, sys.executable, "-c", script, *words], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def with_hidden_processes(level: int) -> tuple[str, ...]:
    """A command that runs a script with a /proc that hides the processes of other users.

    It is a new mount: remounting the existing one would change it for the whole host. Source: proc(5), hidepid.
    """
    return in_a_mount_namespace(f"mount -t proc -o hidepid={level} proc /proc")


def in_a_mount_namespace(command: str) -> tuple[str, ...]:
    """A command that runs a script in its own mount namespace, after a shell command."""
    alone = ("unshare", "--mount", "--propagation", "private")
    tried = subprocess.run([*alone, "true"], capture_output=True, text=True)
    if tried.returncode != 0:
        pytest.skip(f"this host gives no mount namespace: {tried.stderr.strip()}")
    return (*alone, "sh", "-c", f'{command} && exec "$@"', "sh")


def without(call: int, errno: int) -> tuple[str, ...]:
    """A command that runs a program in which this system call fails."""
    script = f"{FORBID}\nimport os, sys\nforbid({call}, {errno})\nos.execvp(sys.argv[1], sys.argv[1:])"
    return (sys.executable, "-c", script)
