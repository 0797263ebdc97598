"""Inheriting orphans among one's descendants. Source: PR_SET_CHILD_SUBREAPER(2const), Linux 3.4."""

from __future__ import annotations

import ctypes
import os

_SET, _GET = 36, 37  # linux/prctl.h


def set_subreaper() -> None:
    """Become a subreaper. Raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_SET, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def subreaper_problem() -> str | None:
    """Why no process can be one here, in a sentence; None if it can. Changes nothing."""
    libc = ctypes.CDLL(None, use_errno=True)
    is_one = ctypes.c_int(0)
    if libc.prctl(_GET, ctypes.byref(is_one), 0, 0, 0) == 0 and libc.prctl(_SET, is_one.value, 0, 0, 0) == 0:
        return None
    return f"this host keeps orphans from coming to a subreaper: prctl: {os.strerror(ctypes.get_errno())}"
