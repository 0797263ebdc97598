"""A kernel that refuses system calls, as old ones, sandboxes and strict containers do, by a seccomp filter.

Source: seccomp(2), linux/filter.h, linux/seccomp.h; numbers of x86-64's system calls, asm/unistd_64.h.
"""

from __future__ import annotations

import ctypes
import errno
import platform
import struct

FLOCK, SENDFILE, PRCTL, MEMFD_CREATE, PIDFD_OPEN = 73, 40, 157, 319, 434
IS_POSSIBLE = platform.machine() == "x86_64"

_SET_NO_NEW_PRIVS, _SET_SECCOMP, _MODE_FILTER = 38, 22, 2
_LOAD_NUMBER, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def refuse(*calls: int, why: int = errno.ENOSYS) -> None:
    """Refuse these calls from now on, in this process and all its descendants. Raises OSError."""
    steps = [struct.pack("HBBI", _LOAD_NUMBER, 0, 0, 0)]
    for left, call in zip(range(len(calls) - 1, -1, -1), calls, strict=True):
        steps.append(struct.pack("HBBI", _JUMP_IF_EQUAL, left + 1, 0, call))
    steps += [struct.pack("HBBI", _RETURN, 0, 0, _ALLOW), struct.pack("HBBI", _RETURN, 0, 0, _ERRNO | why)]
    program = _Program(len(steps), b"".join(steps))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(_SET_SECCOMP, _MODE_FILTER, ctypes.byref(program), 0, 0):
        raise OSError(ctypes.get_errno(), "no filter of system calls can be set")
