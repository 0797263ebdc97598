"""The words with which dynkv names a process."""

from __future__ import annotations

import os
import pwd
import subprocess
from collections.abc import Sequence

import pytest

from dynkv.host.described import described, user_name

OWN = pwd.getpwuid(os.geteuid()).pw_name


def words_of(*words: str) -> str:
    """The description of a process with this command line; its pid is written PID."""
    argv, pipe = ["tool", "-c", "echo; read line", *words], subprocess.PIPE
    with subprocess.Popen(argv, executable="/bin/sh", stdin=pipe, stdout=pipe) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"\n"
        found = described(process.pid).replace(str(process.pid), "PID")
        process.communicate()
    return found


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "tool -c echo; read line"),
        (("--port", "8000"), "tool -c echo; read line --port 8000"),
        (("a\nb", "\x1b[31mred\x07", "\u202etxt"), "tool -c echo; read line a b [31mred txt"),
        (("  much   room  ", ""), "tool -c echo; read line much room"),
        (("a" * 36,), f"tool -c echo; read line {'a' * 36}"),
        (("a" * 37,), f"tool -c echo; read line {'a' * 35}…"),
        (("a" * 100_000,), f"tool -c echo; read line {'a' * 35}…"),
    ],
)
def test_its_words_and_its_owner(words: Sequence[str], said: str) -> None:
    assert words_of(*words) == f"pid PID ({said}, {OWN})"


def test_one_without_words_has_its_name() -> None:
    child = os.posix_spawn("/bin/true", ["true"], {})
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    assert described(child) == f"pid {child} (true, {OWN})"
    os.waitpid(child, 0)
    assert described(child) == f"pid {child} (gone, or of another container)"


@pytest.mark.parametrize("pid", [2**22 + 7, 2**70, 0, -5])
def test_what_is_no_process(pid: int) -> None:
    assert described(pid).startswith(f"pid {pid} (")


def test_a_user_without_a_name() -> None:
    assert user_name(os.geteuid()) == OWN
    assert user_name(2**31 - 5) == f"uid {2**31 - 5}"
