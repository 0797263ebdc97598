"""`doctor` and the checks before `up` from a user's point of view: output, exit codes, and what --clean removes."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from apart import PIDFD_OPEN, without
from command import free_port

from dynkv.host.described import user_name

TINY = ("--engine", "mocker", "--model", "tiny", "--no-lmcache")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


def dynkv(home: Path, *words: str, under: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    """Run the command line; `under` is a command that runs it."""
    environ = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "FORCE_COLOR")}
    return subprocess.run(
        [*under, sys.executable, "-m", "dynkv", *words],
        capture_output=True,
        text=True,
        env={**environ, "DYNKV_HOME": str(home)},
        timeout=60,
    )


def past(home: Path, name: str) -> Path:
    """A deployment that is down, and has left its socket, discovery and scratch directory."""
    directory = home / name
    for folder in ("discovery", "tmp/worker-0"):
        (directory / folder).mkdir(parents=True)
    (directory / "lock").touch()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(directory / "control.sock"))
    return directory


@contextmanager
def orphan(home: Path, name: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process with a deployment's marks, like the child of a dead supervisor."""
    marks = {"DYNKV_HOME": str(home), "DYNKV_DEPLOYMENT": name, "DYNKV_UNIT": "worker-0", "DYNKV_INCARNATION": "x1"}
    child = subprocess.Popen(["sleep", "300"], env={**os.environ, **marks}, start_new_session=True)
    try:
        yield child
    finally:
        child.kill()
        child.wait()


class TestClean:
    def test_nothing(self, home: Path) -> None:
        done = dynkv(home, "doctor", "--clean")
        assert (done.returncode, done.stdout) == (0, "there was nothing to remove\n")

    def test_files_of_what_is_down(self, home: Path) -> None:
        directory = past(home, "old")
        done = dynkv(home, "doctor", "--clean")
        assert f"old: removed {directory}/control.sock" in done.stdout
        assert sorted(path.name for path in directory.iterdir()) == ["lock"]

    @pytest.mark.parametrize("has_directory", [True, False])
    def test_a_process_of_a_dead_supervisor(self, home: Path, has_directory: bool) -> None:
        if has_directory:
            past(home, "old")
        with orphan(home, "old") as child:
            done = dynkv(home, "doctor", "--clean", "--json")
            [left] = json.loads(done.stdout)
            assert (left["deployment"], left["kind"]) == ("old", "processes")
            assert left["what"] == [f"pid {child.pid} (sleep 300, {user_name(os.geteuid())})"]
            assert child.wait(10) == -9

    def test_nothing_of_what_lives(self, home: Path) -> None:
        directory = past(home, "mine")
        with (
            (directory / "lock").open("wb") as lock,
            orphan(home, "mine") as child,
            orphan(home / "else", "mine") as it,
        ):
            fcntl.flock(lock, fcntl.LOCK_EX)
            assert dynkv(home, "doctor", "--clean").stdout == "there was nothing to remove\n"
            assert child.poll() is None
            assert it.poll() is None
            assert (directory / "control.sock").exists()


class TestFindings:
    def test_a_port_is_a_finding(self, home: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
            done = dynkv(home, "doctor", "agg", *TINY, "--set", f"frontend.port={port}", "--json")
        assert done.returncode == 4
        assert done.stderr == ""
        assert "port-taken" in [finding["id"] for finding in json.loads(done.stdout)]

    def test_head_why_hint_and_a_verdict(self, home: Path) -> None:
        done = dynkv(home, "doctor", "agg", *TINY, "--set", "python=/nowhere/python")
        head, why, hint, verdict = done.stdout.splitlines()
        assert head.startswith("error: there is no interpreter /nowhere/python")
        assert (why.split()[0], hint.split()[0]) == ("why:", "hint:")
        assert verdict == "agg cannot run on this host: 1 error"
        assert done.returncode == 4

    def test_leftovers_of_another_deployment(self, home: Path) -> None:
        with orphan(home, "old"):
            done = dynkv(home, "doctor", "agg", *TINY, "--json")
        assert "leftover-processes" in [finding["id"] for finding in json.loads(done.stdout)]


class TestSkipChecks:
    PORT = ("--set", f"frontend.port={free_port()}")
    MISSING = ("up", "agg", "--device", "cpu", "--model", "/nowhere/model", "--no-lmcache", "--timeout", "0", *PORT)

    def test_without_it_an_error_refuses(self, home: Path) -> None:
        done = dynkv(home, *self.MISSING)
        assert done.returncode == 4
        assert "error: there is no /nowhere/model" in done.stderr

    def test_with_it_an_error_is_a_warning(self, home: Path) -> None:
        done = dynkv(home, *self.MISSING, "--skip-checks")
        assert done.returncode in (1, 5), done.stderr
        assert "warning: there is no /nowhere/model" in done.stderr
        assert not (home / "agg" / "control.sock").exists()

    @pytest.mark.parametrize("options", [(), ("--skip-checks",), ("--skip-checks", "--foreground")])
    def test_what_nothing_works_without_cannot_be_skipped(self, home: Path, options: tuple[str, ...]) -> None:
        profile = home / "tick.yaml"
        profile.write_text("topology: none\nunits:\n  - {name: tick, argv: [sleep, '1000']}\n")
        done = dynkv(home, "up", str(profile), *options, under=without(PIDFD_OPEN, errno.ENOSYS))
        assert done.returncode == 4
        assert done.stderr.startswith("error: the kernel has no pidfd_open, or a seccomp filter hides it")
        assert not (home / "tick" / "journal.json").exists()
