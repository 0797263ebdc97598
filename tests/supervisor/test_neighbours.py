"""Finding supervisors by their command line."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from lab import Lab

from dynkv.children.tree import read_process
from dynkv.supervisor.neighbours import homes, supervisor_of


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


def test_the_supervisor_of_a_journal(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    words = [sys.executable, "-c", "import sys; sys.stdin.read()", "dynkv.daemon", "--home", str(tmp_path)]
    running = subprocess.Popen(words, stdin=subprocess.PIPE)
    try:
        process = read_process(running.pid)
        assert process is not None
        written = lab.journal_file(lab.plan(lab.unit()))
        journal = replace(written, supervisor_pid=process.pid, supervisor_start_ticks=process.start_ticks)
        found = supervisor_of(journal, tmp_path)
        assert found is not None
        assert found.identity == process.identity
        assert supervisor_of(journal, tmp_path / "other") is None
        assert supervisor_of(replace(journal, supervisor_start_ticks=1), tmp_path) is None
        own = read_process(os.getpid())
        assert own is not None
        forged = replace(journal, supervisor_pid=own.pid, supervisor_start_ticks=own.start_ticks)
        assert supervisor_of(forged, tmp_path) is None, "it is no supervisor"
    finally:
        running.communicate()
    assert supervisor_of(journal, tmp_path) is None
