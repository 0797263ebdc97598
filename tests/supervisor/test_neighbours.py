"""Finding supervisors by their command line."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from lab import Lab

from dynkv.host.processes import read_process
from dynkv.supervisor.neighbours import homes, supervisor_of


def started(*words: str) -> subprocess.Popen[bytes]:
    """A program with these words, that runs: before, while the kernel makes it, it has no command line."""
    script = "import sys; print(flush=True); sys.stdin.read()"
    pipe = subprocess.PIPE
    process = subprocess.Popen([sys.executable, "-c", script, *words], stdin=pipe, stdout=pipe)
    assert process.stdout is not None
    assert process.stdout.readline() == b"\n"
    return process


def test_where_living_supervisors_work(tmp_path: Path) -> None:
    """One as `dynkv up` starts it, and two processes that only look a little like one."""
    given = [["dynkv.daemon", "--home", f"{tmp_path}/a b"], ["dynkv.daemon", "--home"], ["--home", f"{tmp_path}/c"]]
    running = [started(*words) for words in given]
    try:
        assert {home for home in homes() if home.is_relative_to(tmp_path)} == {tmp_path / "a b"}
    finally:
        for process in running:
            process.communicate()
    assert not any(home.is_relative_to(tmp_path) for home in homes())


def test_the_supervisor_of_a_journal(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    running = started("dynkv.daemon", "--home", str(tmp_path))
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
