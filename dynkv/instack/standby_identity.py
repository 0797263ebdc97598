"""The identity of a forked process: its environment, and its appearance in /proc. Part of standby.py.

Linux only. Source: linux/prctl.h, proc(5).
"""

from __future__ import annotations

import ctypes
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path


def set_environment(environment: dict[str, str]) -> None:
    """Set exactly this environment, with nothing derived from an earlier one."""
    os.environ.clear()
    os.environ.update(environment)
    tempfile.tempdir = None


def memory_layout() -> dict[int, int]:
    """Where the parts of this process's memory are, by field number. Source: proc_pid_stat(5)."""
    numbers = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    return {number: int(text) for number, text in enumerate(numbers, 3) if number > 22}


LAYOUT = memory_layout()
"""The layout that the kernel made when this process was started; the same in every process forked from it."""
PR_SET_NAME, PR_SET_MM, PR_SET_MM_MAP = 15, 35, 14
NO_FILE = 2**32 - 1


class MemoryMap(ctypes.Structure):
    """Source: linux/prctl.h, struct prctl_mm_map."""

    _fields_ = [
        *((name, ctypes.c_uint64) for name in "start_code end_code start_data end_data start_brk brk".split()),
        *((name, ctypes.c_uint64) for name in "start_stack arg_start arg_end env_start env_end auxv".split()),
        ("auxv_size", ctypes.c_uint32),
        ("exe_fd", ctypes.c_uint32),
    ]


def show(argv: Sequence[str | bytes]) -> None:
    """Let /proc show these arguments and the present environment instead of the original ones.

    If the kernel does not allow moving them in memory, the arguments stay as they were; what does not fit is cut off.
    Source: proc_pid_cmdline(5), PR_SET_MM(2const).
    """
    start, border, end = LAYOUT[48], LAYOUT[49], LAYOUT[51]
    args = b"".join(os.fsencode(word) + b"\0" for word in argv)
    variables = b"".join(name + b"=" + value + b"\0" for name, value in os.environb.items())
    if len(args) + len(variables) <= end - start and lay_out(start + len(args), len(variables)):
        ctypes.memmove(start, args + variables, len(args) + len(variables))
    else:
        ctypes.memmove(border, variables[: end - border - 1].ljust(end - border, b"\0"), end - border)


def lay_out(border: int, env_bytes: int) -> bool:
    """Whether the kernel now takes what is before `border` for arguments, and what follows for the environment."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.sbrk.restype = ctypes.c_void_p
    wanted = MemoryMap(
        start_code=LAYOUT[26],
        end_code=LAYOUT[27],
        start_data=LAYOUT[45],
        end_data=LAYOUT[46],
        start_brk=LAYOUT[47],
        brk=libc.sbrk(0),
        start_stack=LAYOUT[28],
        arg_start=LAYOUT[48],
        arg_end=border,
        env_start=border,
        env_end=border + env_bytes,
        exe_fd=NO_FILE,
    )
    size = ctypes.c_ulong(ctypes.sizeof(wanted))
    return bool(libc.prctl(PR_SET_MM, PR_SET_MM_MAP, ctypes.byref(wanted), size, ctypes.c_ulong(0)) == 0)


def set_title(title: str) -> None:
    """Do what setproctitle does, which itself would look for its space where `show` has moved things, and not find
    it."""
    show([title])
    name = ctypes.create_string_buffer(os.fsencode(title)[:15])
    ctypes.CDLL(None).prctl(PR_SET_NAME, name, ctypes.c_ulong(0), ctypes.c_ulong(0), ctypes.c_ulong(0))
