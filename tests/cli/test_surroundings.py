"""No property of a command's surroundings leaks into its processes: checked in /proc, for the supervisor and a unit."""

from __future__ import annotations

import os
import resource
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import pytest
from command import UNITS, Command, command_in, until
from surrounded import ONE, environ, started, unit_of

NUMBERS = signal.valid_signals()


@pytest.fixture
def dynkv(tmp_path: Path) -> Iterator[Command]:
    with command_in(tmp_path) as command:
        yield command


def status_field(pid: int, name: str) -> str:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(line.partition(":")[2].strip() for line in lines if line.startswith(f"{name}:"))


def signals(pid: int, field: str) -> set[int]:
    mask = int(status_field(pid, field), 16)
    return {number for number in NUMBERS if mask & 1 << number - 1}


def descriptors(pid: int) -> dict[int, str]:
    found = {}
    for fd in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # it has been closed meanwhile
            found[int(fd.name)] = str(fd.readlink())
    return found


class TestSignals:
    def test_none_is_blocked_or_ignored(self, dynkv: Command) -> None:
        def surround() -> None:
            signal.pthread_sigmask(signal.SIG_BLOCK, NUMBERS)
            for number in NUMBERS - {signal.SIGKILL, signal.SIGSTOP}:
                signal.signal(number, signal.SIG_IGN)

        done = started(dynkv, "--timeout", "60", preexec_fn=surround)
        assert done.returncode == 0, done.stderr
        unit, supervisor = unit_of(dynkv), dynkv.supervisor()
        assert (signals(unit, "SigBlk"), signals(unit, "SigIgn")) == (set(), set())
        heeded = {signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP}
        assert not heeded & (signals(supervisor, "SigBlk") | signals(supervisor, "SigIgn"))
        assert heeded <= signals(supervisor, "SigCgt")
        assert signals(supervisor, "SigIgn") == {signal.SIGPIPE, signal.SIGXFSZ, signal.SIGTTOU}
        os.kill(unit, signal.SIGTERM)
        until(lambda: dynkv.pids().get("one") not in (None, unit))
        assert dynkv.status()["units"][0]["last_exit"]["signal"] == signal.SIGTERM
        os.kill(supervisor, signal.SIGTERM)
        until(lambda: not dynkv.place().has_supervisor())
        assert not dynkv.left_running()

    def test_in_the_foreground(self, dynkv: Command) -> None:
        profile = dynkv.profile(ONE)
        ignored = {signal.SIGTERM, signal.SIGINT, signal.SIGCHLD}

        def surround() -> None:
            signal.pthread_sigmask(signal.SIG_BLOCK, NUMBERS)
            for number in ignored:
                signal.signal(number, signal.SIG_IGN)

        argv = [sys.executable, "-m", "dynkv", "up", profile, "--foreground"]
        with dynkv.popen(argv, preexec_fn=surround, stdout=subprocess.DEVNULL) as process:
            unit_of(dynkv)
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0
        assert not dynkv.left_running()

    def test_what_a_command_runs_is_seen_to_fail(self, dynkv: Command, tmp_path: Path) -> None:
        """If SIGCHLD is ignored, the kernel keeps no exit status."""
        broken = tmp_path / "python"
        broken.write_text("#!/bin/sh\necho '[[3, 12], {}]'; exit 1\n")
        broken.chmod(0o755)
        done = subprocess.run(
            [sys.executable, "-m", "dynkv", "plan", "agg", "--set", f"python={broken}"],
            env=dynkv.env,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            preexec_fn=lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN),
        )
        assert done.returncode == 4
        assert "does not work as a Python interpreter" in done.stderr


class TestUmask:
    @pytest.mark.parametrize(
        ("given", "of_units"), [(0o000, 0o000), (0o002, 0o002), (0o022, 0o022), (0o077, 0o077), (0o777, 0o077)]
    )
    def test_files_of_dynkv_are_its_owners_and_units_have_the_persons(
        self, dynkv: Command, given: int, of_units: int
    ) -> None:
        dynkv.home = dynkv.directory / "not" / "there" / "yet"
        done = started(dynkv, umask=given)
        assert done.returncode == 0, done.stderr
        assert int(status_field(dynkv.supervisor(), "Umask"), 8) == 0o077
        assert int(status_field(unit_of(dynkv), "Umask"), 8) == of_units
        for path in (dynkv.directory / "not", *(dynkv.directory / "not").rglob("*")):
            mode = stat.S_IMODE(path.lstat().st_mode)
            assert mode == (0o700 if path.is_dir() else 0o600), path


class TestDescriptors:
    def test_none_but_the_streams(self, dynkv: Command) -> None:
        many = [os.open("/dev/zero", os.O_RDONLY) for _ in range(500)]
        try:
            done = started(dynkv, pass_fds=many)
        finally:
            for fd in many:
                os.close(fd)
        assert done.returncode == 0, done.stderr
        assert descriptors(unit_of(dynkv)).keys() == {0, 1, 2}
        assert "/dev/zero" not in descriptors(dynkv.supervisor()).values()

    @pytest.mark.parametrize("words", [(), ("--foreground",)])
    def test_claims_of_ports_are_held_by_the_supervisor_alone(self, dynkv: Command, words: tuple[str, ...]) -> None:
        profile = dynkv.profile(UNITS + dynkv.server("one"))
        with dynkv.popen([sys.executable, "-m", "dynkv", "up", profile, *words], stdout=subprocess.DEVNULL):
            unit = unit_of(dynkv)
            claims = Path("/proc/net/unix").read_text().splitlines()
            port = dynkv.status()["units"][0]["ports"]["http"]
            inode = next(line.split()[6] for line in claims if line.endswith(f"@dynkv-port-{port}"))
            assert f"socket:[{inode}]" in descriptors(dynkv.supervisor()).values()
            assert f"socket:[{inode}]" not in descriptors(unit).values()
            dynkv.end_all()

    def test_in_the_foreground_neither(self, dynkv: Command) -> None:
        profile = dynkv.profile(ONE)
        with Path("/dev/zero").open("rb") as extra:
            argv = [sys.executable, "-m", "dynkv", "up", profile, "--foreground"]
            with dynkv.popen(argv, pass_fds=(extra.fileno(),), stdout=subprocess.DEVNULL) as process:
                unit = unit_of(dynkv)
                assert descriptors(unit).keys() == {0, 1, 2}
                assert "/dev/zero" not in descriptors(process.pid).values()
                process.send_signal(signal.SIGTERM)
                assert process.wait(30) == 0

    @pytest.mark.parametrize(
        ("more", "closed"), [("", "<&-"), ("", ">&-"), ("", "<&- >&- 2>&-"), ("--foreground", "<&- >&- 2>&-")]
    )
    def test_the_streams_are_there_when_they_were_not(self, dynkv: Command, more: str, closed: str) -> None:
        command = f"exec {sys.executable} -m dynkv up {dynkv.profile(ONE)} {more} {closed}"
        with dynkv.popen(["sh", "-c", command]) as process:
            unit = unit_of(dynkv)
            assert descriptors(unit)[0] == "/dev/null"
            assert {descriptors(unit)[1], descriptors(unit)[2]} == {str(dynkv.place().logs / "one.log")}
            assert descriptors(dynkv.supervisor()).keys() >= {0, 1, 2}
            if more:
                process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0


class TestWhere:
    def test_supervisor_and_unit_are_in_their_own_directory(self, dynkv: Command) -> None:
        assert started(dynkv).returncode == 0
        for pid in (dynkv.supervisor(), unit_of(dynkv)):
            assert Path(f"/proc/{pid}/cwd").readlink() == dynkv.place().directory
        assert not {"PWD", "OLDPWD", "XDG_RUNTIME_DIR"} & environ(dynkv.supervisor()).keys()
        assert not {"PWD", "OLDPWD", "XDG_RUNTIME_DIR"} & environ(unit_of(dynkv)).keys()

    @pytest.mark.parametrize("gone", ["removed", "forbidden"])
    def test_from_a_directory_that_is_none(self, dynkv: Command, gone: str) -> None:
        where = dynkv.directory / "gone"
        where.mkdir()
        leave: Callable[[], None] = where.rmdir if gone == "removed" else lambda: where.chmod(0)

        def surround() -> None:
            os.chdir(where)
            leave()

        done = started(dynkv, cwd="/", preexec_fn=surround)
        assert done.returncode == 0, done.stderr
        for words in (
            ["status"],
            ["plan", "agg"],
            ["doctor", str(dynkv.directory / "mine.yaml")],
            ["logs"],
            ["events"],
        ):
            said = in_removed(dynkv.directory / "also", dynkv.env, words)
            assert "fault in dynkv" not in said.stderr, said.stderr
            assert "Traceback" not in said.stderr, said.stderr
        relative = in_removed(dynkv.directory / "also", {**dynkv.env, "DYNKV_HOME": "state"}, ["status"])
        assert (relative.returncode, relative.stderr.count("\n")) == (2, 2), relative.stderr

    def test_a_session_of_its_own_without_a_terminal(self, dynkv: Command) -> None:
        assert started(dynkv).returncode == 0
        for pid in (dynkv.supervisor(), unit_of(dynkv)):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            assert (int(fields[2]), int(fields[3]), int(fields[4])) == (pid, pid, 0)  # group, session, terminal

    def test_a_low_limit_of_open_files_is_raised(self, dynkv: Command) -> None:
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        done = started(dynkv, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard)))
        assert done.returncode == 0, done.stderr
        for pid in (dynkv.supervisor(), unit_of(dynkv)):
            assert resource.prlimit(pid, resource.RLIMIT_NOFILE)[0] > 64


def in_removed(where: Path, env: Mapping[str, str], words: list[str]) -> subprocess.CompletedProcess[str]:
    where.mkdir()

    def surround() -> None:
        os.chdir(where)
        where.rmdir()

    argv = [sys.executable, "-m", "dynkv", *words]
    return subprocess.run(argv, env=env, cwd="/", preexec_fn=surround, capture_output=True, text=True, timeout=90)
