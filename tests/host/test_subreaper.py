"""Whether a process can become the parent of its orphaned descendants."""

from __future__ import annotations

import errno
import subprocess
import sys
from functools import partial

import pytest
from refusing import IS_POSSIBLE, PRCTL, refuse

from dynkv.host.subreaper import subreaper_problem

ASK = "from dynkv.host.subreaper import subreaper_problem; print(subreaper_problem())"
IS_ONE = """
import ctypes
from dynkv.host.subreaper import set_subreaper, subreaper_problem
def is_one():
    found = ctypes.c_int(0)
    ctypes.CDLL(None).prctl(37, ctypes.byref(found), 0, 0, 0)
    return found.value
before = is_one()
subreaper_problem()
asked = is_one()
set_subreaper()
subreaper_problem()
print(before, asked, is_one())
"""


def test_here_it_can() -> None:
    assert subreaper_problem() is None


def test_asking_changes_nothing() -> None:
    done = subprocess.run([sys.executable, "-c", IS_ONE], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["0", "0", "1"]


@pytest.mark.skipif(not IS_POSSIBLE, reason="the numbers of this machine's system calls are others")
def test_where_it_is_refused_that_is_said() -> None:
    forbid = partial(refuse, PRCTL, why=errno.EPERM)
    done = subprocess.run([sys.executable, "-c", ASK], capture_output=True, text=True, check=True, preexec_fn=forbid)
    assert "prctl: Operation not permitted" in done.stdout
