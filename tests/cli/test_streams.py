"""Failures of output end nothing: closed streams, readers and terminals that go away, full disks, poor encodings."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest
from command import NEVER_READY, QUICK, UNITS, Command, command_in, free_port, until

REDIRECTIONS = [
    ">&-",
    "2>&-",
    "<&-",
    "<&- >&- 2>&-",
    ">/dev/full",
    ">/dev/full 2>&1",
    "1</dev/null",
    "| true",
    "|& true",
]
PIPE_BYTES = 64 * 1024
LOCALES = [
    {"PYTHONIOENCODING": "latin-1"},
    {"PYTHONIOENCODING": "ascii:strict"},
    {"LC_ALL": "de_DE.ISO-8859-1"},
    {"LC_ALL": "C", "PYTHONUTF8": "0"},
]


@pytest.fixture
def dynkv(tmp_path: Path) -> Iterator[Command]:
    with command_in(tmp_path) as command:
        yield command


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Command]:
    """A deployment that is ready, whose messages contain arrows."""
    with command_in(tmp_path_factory.mktemp("→")) as command:
        assert command("up", command.profile(QUICK)).returncode == 0
        (command.place().logs / "first.log").write_text("größer → 日本 \udcff\n", "utf-8", "surrogateescape")
        yield command


def in_shell(dynkv: Command, words: str, redirection: str) -> subprocess.CompletedProcess[str]:
    """The exit code is dynkv's, whatever its output is piped to."""
    script = f"{sys.executable} -m dynkv {words} {redirection}\nexit ${{PIPESTATUS[0]}}"
    with dynkv.popen(["bash", "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as shell:
        out, err = shell.communicate(timeout=60)
    return subprocess.CompletedProcess(words, shell.returncode, out, err)


def streams_of(pid: int) -> list[str]:
    return [str(Path(f"/proc/{pid}/fd/{fd}").readlink()) for fd in range(3)]


def waiting_bytes(pipe: int) -> int:
    """The number of bytes that nobody has read yet."""
    count = fcntl.ioctl(pipe, termios.FIONREAD, struct.pack("i", 0))
    return int(struct.unpack("i", count)[0])


class TestVerbsThatAct:
    @pytest.mark.parametrize("redirection", REDIRECTIONS)
    def test_do_their_work_to_the_end(self, dynkv: Command, redirection: str) -> None:
        done = in_shell(dynkv, f"up {dynkv.profile(QUICK)}", redirection)
        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stderr
        assert dynkv.status()["state"] == "ready"
        before = dynkv.pids()
        assert in_shell(dynkv, "restart first --wait", redirection).returncode == 0
        assert dynkv.pids()["first"] != before["first"]
        assert dynkv.place().supervisor_log.read_text() == ""
        assert in_shell(dynkv, "down", redirection).returncode == 0
        assert dynkv.left_running() == []

    def test_a_file_that_is_opened_gets_no_output(self, dynkv: Command) -> None:
        """The first file to be opened would get the number of the closed stream."""
        in_shell(dynkv, f"up {dynkv.profile(QUICK)}", "<&- >&- 2>&-")
        log = str(dynkv.place().supervisor_log)
        assert streams_of(dynkv.supervisor()) == ["/dev/null", log, log]

    def test_in_the_foreground_as_well(self, dynkv: Command) -> None:
        script = f"exec {sys.executable} -m dynkv up {dynkv.profile(QUICK)} --foreground <&- >&- 2>&-"
        with dynkv.popen(["bash", "-c", script]) as supervisor:
            until(lambda: dynkv.place().has_supervisor())
            assert streams_of(supervisor.pid) == ["/dev/null"] * 3
            assert dynkv("wait", "--timeout", "60").returncode == 0
            assert dynkv("down").returncode == 0

    def test_a_reader_that_goes_away_while_it_waits(self, dynkv: Command) -> None:
        with dynkv.begun("up", dynkv.profile(UNITS + dynkv.server("late", go=False))) as up:
            assert up.stdout is not None
            up.stdout.readline()
            up.stdout.close()
            until(lambda: "late" in dynkv.pids())
            dynkv.let_go("late")
            assert up.wait(60) == 0
        assert dynkv.status()["state"] == "ready"

    def test_the_exit_code_tells_of_the_deployment(self, dynkv: Command) -> None:
        profile = dynkv.profile(NEVER_READY.format(port=free_port()))
        assert in_shell(dynkv, f"up {profile} --timeout 1", "| true").returncode == 5
        assert dynkv.left_running() == []

    def test_a_terminal_that_goes_away_while_it_waits(self, dynkv: Command) -> None:
        profile = dynkv.profile(UNITS + dynkv.server("late", go=False))
        pid, terminal = pty.fork()
        if pid == 0:
            os.chdir(dynkv.directory)
            os.execve(sys.executable, [sys.executable, "-m", "dynkv", "up", profile], dynkv.env)
        until(lambda: "late" in dynkv.pids())
        os.close(terminal)  # this sends SIGHUP, and makes every later write fail
        dynkv.let_go("late")
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        assert dynkv.status()["state"] == "ready"

    @pytest.mark.parametrize("locale", LOCALES, ids=str)
    def test_in_an_encoding_that_lacks_what_there_is_to_say(self, dynkv: Command, locale: dict[str, str]) -> None:
        profile = dynkv.profile(UNITS + "  - {name: dies, argv: [sh, -c, 'echo größer → 日本; exit 3']}\n")
        done = dynkv("up", profile, **locale)
        assert done.returncode == 1, done.stderr
        assert "error: dies died during start" in done.stderr
        assert ("日本" in done.stderr) or ("\\u65e5\\u672c" in done.stderr)
        assert dynkv.left_running() == []


class TestVerbsThatShow:
    WORDS = ("status", "status mine --json", "events", "logs", "plan mine.yaml")

    @pytest.mark.parametrize("words", WORDS)
    @pytest.mark.parametrize("redirection", ["| true", ">&-", "<&- >&- 2>&-", "2>&-"])
    def test_end_quietly_where_nobody_reads(self, running: Command, words: str, redirection: str) -> None:
        assert in_shell(running, words, redirection).stderr == ""

    @pytest.mark.parametrize("words", WORDS)
    def test_say_that_a_disk_is_full(self, running: Command, words: str) -> None:
        done = in_shell(running, words, ">/dev/full")
        assert done.returncode == 1
        assert done.stderr.splitlines()[0] == "error: the output cannot be written: No space left on device"
        assert "hint: " in done.stderr

    def test_say_nothing_where_that_cannot_be_said_either(self, running: Command) -> None:
        assert in_shell(running, "status", ">/dev/full 2>&1").returncode == 1

    def test_wait_for_a_reader_of_a_pipe_that_does_not_block(self, running: Command) -> None:
        text = "".join(f"line {number}\n" for number in range(20_000))
        (running.place().logs / "long.log").write_text(text)
        reading, writing = os.pipe()
        os.set_blocking(writing, False)
        with running.popen([sys.executable, "-m", "dynkv", "logs", "long", "-n", "20000"], stdout=writing) as logs:
            os.close(writing)
            with os.fdopen(reading, "rb") as pipe:
                until(lambda: waiting_bytes(reading) > PIPE_BYTES - 4096)
                assert pipe.read().decode() == text
            assert logs.wait() == 0

    @pytest.mark.parametrize("words", WORDS)
    @pytest.mark.parametrize("locale", LOCALES, ids=str)
    def test_show_it_in_every_encoding(self, running: Command, words: str, locale: dict[str, str]) -> None:
        done = running(*words.split(), **locale)
        assert (done.returncode, done.stderr) == (0, "")


def test_a_document_is_whole_in_every_encoding(running: Command) -> None:
    expected = running("status", "mine", "--json").stdout
    assert "→" in json.loads(expected)["units"][0]["log"]
    assert json.loads(running("logs", "first", "--json", PYTHONIOENCODING="ascii").stdout)["line"].startswith(
        "größer →"
    )
    shown = running("status", "mine", "--json", PYTHONIOENCODING="ascii").stdout
    assert shown.isascii()
    assert json.loads(shown)["units"][0]["log"] == json.loads(expected)["units"][0]["log"]
