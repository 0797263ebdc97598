"""One incarnation: spawned with exactly what was given, watched, signalled, reaped."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import anyio
import pytest
from processes import family, is_alive, until

from dynkv.children.child import Child, Exit
from dynkv.children.marks import MARK_INCARNATION
from dynkv.children.signals import open_process, send
from dynkv.children.tree import Root
from dynkv.host.processes import read_process

REPORT = """
import json, os, signal, sys
raw = dict(item.split(b"=", 1) for item in open("/proc/self/environ", "rb").read().split(b"\\0") if item)
status = dict(line.split(":\\t", 1) for line in open("/proc/self/status") if ":\\t" in line)
print(json.dumps({
    "env": {k.decode(): v.decode() for k, v in raw.items()},
    "ids": [os.getpid(), os.getsid(0), os.getpgrp()],
    "stdin": os.readlink("/proc/self/fd/0"),
    "read": sys.stdin.read(),
    "open": {fd: os.path.realpath(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")},
}))
print("to stderr", file=sys.stderr)
"""


async def run(argv: list[str], log: Path, env: dict[str, str] | None = None) -> Child:
    """Run a child to its end."""
    child = Child.spawn(argv, env or {}, log)
    with anyio.fail_after(20):
        await child.watch()
    return child


async def report(log: Path, env: dict[str, str]) -> tuple[Child, dict[str, object]]:
    child = await run([sys.executable, "-S", "-E", "-c", REPORT], log, env)
    child.reap()
    return child, read_report(log)


def read_report(log: Path) -> dict[str, object]:
    lines = log.read_text().splitlines()
    assert "to stderr" in lines
    found: dict[str, object] = json.loads(next(line for line in lines if line.startswith("{")))
    return found


def signal_sets(pid: int) -> dict[str, int]:
    """The signal masks of a process. Source: proc_pid_status(5)."""
    status = Path(f"/proc/{pid}/status").read_text()
    pairs = [line.split(":\t", 1) for line in status.splitlines() if line.startswith("Sig")]
    return {name: int(value, 16) for name, value in pairs if name != "SigQ"}


@pytest.mark.anyio
async def test_the_environment_is_what_is_given_and_the_marker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_OF_THE_SUPERVISOR", "x")
    child, found = await report(tmp_path / "log", {"A": "1", "B": "two words"})
    assert found["env"] == {"A": "1", "B": "two words", MARK_INCARNATION: child.root.incarnation}


@pytest.mark.anyio
async def test_it_leads_a_session_of_its_own_and_reads_nothing(tmp_path: Path) -> None:
    child, found = await report(tmp_path / "log", {})
    assert found["ids"] == [child.pid] * 3
    assert (found["stdin"], found["read"]) == ("/dev/null", "")


@pytest.mark.anyio
async def test_no_descriptor_of_the_supervisor_reaches_it(tmp_path: Path) -> None:
    with (tmp_path / "mine").open("w"):
        _, found = await report(tmp_path / "log", {})
    opened = found["open"]
    assert isinstance(opened, dict)
    ours = {fd: path for fd, path in opened.items() if path.startswith(str(tmp_path))}
    assert ours == {"1": str(tmp_path / "log"), "2": str(tmp_path / "log")}


@pytest.mark.anyio
async def test_signals_are_at_their_defaults_and_none_is_blocked(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGUSR1])
    try:
        child = Child.spawn(["sleep", "60"], {"PATH": os.environ["PATH"]}, tmp_path / "log")
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        signal.signal(signal.SIGTERM, before)
    sets = signal_sets(child.pid)
    assert sets["SigBlk"] == 0
    wanted = (signal.SIGPIPE, signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD, signal.SIGQUIT)
    assert not sets["SigIgn"] & sum(1 << (number - 1) for number in wanted)
    child.signal(signal.SIGTERM)
    with anyio.fail_after(10):
        await child.watch()
    assert child.exit == Exit(signal=signal.SIGTERM)
    child.reap()


@pytest.mark.anyio
async def test_the_log_is_appended_to_and_remembers_where_it_began(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "unit.log"
    first = await run(["/bin/echo", "one"], log)
    second = await run(["/bin/echo", "two"], log)
    assert log.read_text() == "one\ntwo\n"
    assert (first.log_start_byte, second.log_start_byte) == (0, 4)
    assert log.stat().st_mode & 0o777 == 0o600
    for child in (first, second):
        child.reap()


@pytest.mark.anyio
async def test_a_log_truncated_from_outside_goes_on_at_its_beginning(tmp_path: Path) -> None:
    script = "print('before' * 100, flush=True); say('here'); signal.sigwait([signal.SIGUSR1]); print('after')"
    with family(tmp_path, f"signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1]); {script}") as it:
        it.pid("here")
        os.truncate(tmp_path / "log", 0)
        it.child.signal(signal.SIGUSR1)
        with anyio.fail_after(10):
            await it.child.watch()
        assert (tmp_path / "log").read_bytes() == b"after\n"


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("script", "exit_", "words"),
    [
        ("raise SystemExit(0)", Exit(code=0), "exited with code 0"),
        ("raise SystemExit(7)", Exit(code=7), "exited with code 7"),
        ("import os; os.kill(os.getpid(), 9)", Exit(signal=9), "killed by SIGKILL"),
        ("import os; os.abort()", Exit(signal=6), "killed by SIGABRT"),
    ],
)
async def test_its_end_is_seen(tmp_path: Path, script: str, exit_: Exit, words: str) -> None:
    child = await run([sys.executable, "-c", script], tmp_path / "log")
    assert (child.exit, str(child.exit), child.exited.is_set()) == (exit_, words, True)
    child.reap()


@pytest.mark.anyio
async def test_it_stays_a_zombie_until_it_is_reaped_and_reaping_twice_is_reaping_once(tmp_path: Path) -> None:
    child = await run(["/bin/true"], tmp_path / "log")
    left = read_process(child.pid)
    assert left is not None
    assert (left.state, left.identity) == ("Z", (child.pid, child.root.start_ticks))
    child.reap()
    child.reap()
    assert read_process(child.pid) is None


def test_what_cannot_be_run_raises_and_leaves_no_descriptor(tmp_path: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(FileNotFoundError):
        Child.spawn(["/no/such/program"], {}, tmp_path / "log")
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_program_is_not_looked_for_where_this_process_would(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Child.spawn(["sleep", "60"], {"PATH": str(tmp_path)}, tmp_path / "log")


@pytest.mark.anyio
async def test_an_adopted_child_is_watched_without_its_exit_status(tmp_path: Path) -> None:
    with family(tmp_path, "say('here'); wait()") as it:
        it.pid("here")
        adopted = Child.adopt(it.child.root, 12)
        assert adopted is not None
        assert (adopted.pid, adopted.log_start_byte) == (it.child.pid, 12)
        assert [process.pid for process in adopted.tree()] == [it.child.pid]
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(adopted.watch)
            assert adopted.signal(signal.SIGKILL)
            with anyio.fail_after(10):
                await adopted.exited.wait()
        assert adopted.exit == Exit()
        assert str(adopted.exit) == "ended (exit status unknown)"
        adopted.reap()
        assert read_process(it.child.pid) is not None, "only its own parent may reap it"


def test_who_has_gone_or_whose_pid_is_someone_elses_is_not_adopted(tmp_path: Path) -> None:
    with family(tmp_path, "say('here'); wait()") as it:
        root = it.child.root
        assert Child.adopt(Root(root.pid, root.start_ticks + 1, root.incarnation)) is None
    assert Child.adopt(root) is None


def test_a_process_is_opened_only_with_its_own_start_time(tmp_path: Path) -> None:
    with family(tmp_path, "say('here'); wait()") as it:
        pid, ticks = it.child.root.pid, it.child.root.start_ticks
        assert open_process((pid, ticks - 1)) is None
        assert open_process((pid, ticks + 1)) is None
        fd = open_process((pid, ticks))
        assert fd is not None
        assert send(fd, signal.SIGKILL)
        until(lambda: not is_alive(pid))
        it.child.reap()
        assert not send(fd, signal.SIGKILL)
        os.close(fd)
    assert open_process((pid, ticks)) is None
