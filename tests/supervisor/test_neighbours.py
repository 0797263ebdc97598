"""Finding supervisors by their command line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from dynkv.supervisor.neighbours import homes


def test_where_living_supervisors_work(tmp_path: Path) -> None:
    """One as `dynkv up` starts it, and two processes that only look a little like one."""
    script = "import sys; sys.stdin.read()"
    given = [["dynkv.daemon", "--home", f"{tmp_path}/a b"], ["dynkv.daemon", "--home"], ["--home", f"{tmp_path}/c"]]
    pipe = subprocess.PIPE
    running = [subprocess.Popen([sys.executable, "-c", script, *words], stdin=pipe, stdout=pipe) for words in given]
    try:
        assert {home for home in homes() if home.is_relative_to(tmp_path)} == {tmp_path / "a b"}
    finally:
        for process in running:
            process.communicate()
    assert not any(home.is_relative_to(tmp_path) for home in homes())
