"""Output, terminal, limits and signals cannot end a supervisor. Real ones are used."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest
from daemons import daemon, pids, status_once
from lab import Lab
from processes import is_alive, until

from dynkv.children.stop import kill_tree
from dynkv.control.client import Client, SupervisorGone
from dynkv.locks import take_lock
from dynkv.plan.model import Plan, Probe, Probes, Role
from dynkv.supervisor.journal import read_journal
from dynkv.supervisor.states import State
from dynkv.supervisor.status import DeploymentStatus
from dynkv.supervisor.survivors import survivors


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


@pytest.fixture
def plan(lab: Lab) -> Plan:
    return lab.plan(lab.unit("frontend", role=Role.FRONTEND), lab.unit())


@pytest.fixture(autouse=True)
def clean_up(lab: Lab) -> Iterator[None]:
    yield
    journal = read_journal(lab.place.journal)  # or by their markers, if there is no journal
    anyio.run(kill_tree, lambda: survivors(journal, lab.place))


def restarted(lab: Lab, unit: str = "worker-0") -> None:
    """Check that it still looks after its units, and answers."""
    before = pids(status_once(lab))[unit]
    os.kill(before or 0, signal.SIGKILL)
    until(lambda: pids(status_once(lab))[unit] not in (None, before), 30)


def test_a_reader_that_has_read_enough(lab: Lab, plan: Plan) -> None:
    """`dynkv up … --foreground | head -2`."""
    read, write = os.pipe()
    with daemon(lab, plan, stdout=write) as (process, _):
        os.close(write)
        assert os.read(read, 10)
        os.close(read)
        restarted(lab)
        restarted(lab)
        assert process.poll() is None


def test_a_reader_that_does_not_read(lab: Lab, plan: Plan) -> None:
    """A stopped terminal, or a pager that waits."""
    read, write = os.pipe()
    fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, 4096)
    os.write(write, b"x" * 4096)
    with daemon(lab, plan, stdout=write) as (process, _):
        os.close(write)
        restarted(lab)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    os.close(read)


def test_a_full_disk_behind_its_output(lab: Lab, plan: Plan) -> None:
    with Path("/dev/full").open("wb") as full, daemon(lab, plan, stdout=full) as (process, _):
        restarted(lab)
        assert process.poll() is None
        assert "fault" not in lab.place.events.read_text()


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_terminal_that_has_not_all_characters(lab: Lab, plan: Plan, encoding: str) -> None:
    env = {"PYTHONIOENCODING": encoding, "PYTHONUTF8": "0", "LC_ALL": "C"}
    out = lab.directory / "out"
    with out.open("wb") as file, daemon(lab, plan, stdout=file, env=env):
        restarted(lab)
        until(lambda: b"pending \\u2192 starting" in out.read_bytes())


@pytest.mark.parametrize("number", ["SIGHUP", "SIGUSR1", "SIGPIPE", "SIGALRM", "SIGXCPU", "SIGTTOU", "SIGRTMAX"])
def test_a_signal_that_means_nothing(lab: Lab, plan: Plan, number: str) -> None:
    with daemon(lab, plan) as (process, _):
        before = pids(status_once(lab))
        process.send_signal(signal.Signals[number])
        assert pids(status_once(lab)) == before
        restarted(lab)
        assert process.poll() is None


def test_who_has_started_it_is_gone_when_it_reports(lab: Lab, plan: Plan) -> None:
    """For example killed while it waited: then the pipe is broken."""
    with daemon(lab, plan, is_awaited=False):
        status_once(lab)


# --- too few descriptors ---


def many(lab: Lab, number: int) -> Plan:
    ready = Probes(Probe(()), Probe(()))
    units = [lab.unit(f"unit-{i}", ("sleep", "600"), role=Role.UNIT) for i in range(number)]
    bare = [type(unit)(unit.name, unit.role, unit.argv, {"PATH": os.environ["PATH"]}, {}, ready) for unit in units]
    return Plan(lab.name, "agg", "none", "vllm", "cpu", None, tuple(bare), "python3", None)


def test_a_low_limit_of_open_files_is_raised(lab: Lab) -> None:
    with daemon(lab, many(lab, 80), open_files=(64, 4096)):
        status = status_once(lab)
        assert {unit.state for unit in status.units} == {State.READY}


def test_a_limit_that_cannot_be_raised_costs_units_and_not_the_supervisor(lab: Lab) -> None:
    def ended() -> DeploymentStatus | None:
        try:
            status = Client(lab.place.socket).status()
        except SupervisorGone:
            return None
        is_told = all(unit.state is State.READY or unit.last_exit is not None for unit in status.units)
        return status if is_told else None

    with daemon(lab, many(lab, 80), open_files=(64, 64)) as (process, _):
        status = until(ended, 30)
        assert status is not None
        refused = next(unit.last_exit for unit in status.units if unit.last_exit is not None)
        assert refused.reason == "cannot run sleep: this process may not open more files"
        assert "ulimit" in refused.hint
        running = {unit.pid for unit in status.units if unit.state is State.READY}
        os.kill(next(pid for pid in running if pid), signal.SIGKILL)

        def is_made_up_for() -> bool:
            """Whether another process serves in its place: of the same unit, or of one that had no room until then."""
            now = {unit.pid for unit in Client(lab.place.socket).status().units if unit.state is State.READY}
            return len(now) >= len(running) and now != running

        until(is_made_up_for, 30)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    assert not any(is_alive(unit.pid) for unit in status.units if unit.pid)


# --- what belongs to it is removed ---


def test_a_socket_that_is_removed_is_made_again(lab: Lab, plan: Plan) -> None:
    """Cleaners of temporary directories and the end of a login do that."""
    with daemon(lab, plan):
        before = pids(status_once(lab))
        lab.place.socket.unlink()
        assert pids(status_once(lab)) == before


def test_a_directory_that_is_removed_is_made_again(lab: Lab, plan: Plan) -> None:
    with daemon(lab, plan) as (process, _):
        before = pids(status_once(lab))
        shutil.rmtree(lab.place.directory)
        assert pids(status_once(lab)) == before
        until(lambda: read_journal(lab.place.journal), 30)
        journal = read_journal(lab.place.journal)
        assert journal is not None
        assert {name: child.pid for name, child in journal.children.items()} == before
        assert lab.place.has_supervisor()
        assert Path(f"/proc/{process.pid}/cwd").readlink() == lab.place.directory, "where children begin"
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    assert not any(is_alive(pid or 0) for pid in before.values())


def test_a_journal_that_could_not_be_written_is_when_there_is_room_again(lab: Lab, plan: Plan) -> None:
    draft = lab.place.journal.with_suffix(".tmp")
    with daemon(lab, plan):
        before = pids(status_once(lab))
        draft.mkdir()
        os.kill(before["worker-0"] or 0, signal.SIGKILL)
        until(lambda: "cannot write" in status_once(lab).detail, 30)
        draft.rmdir()
        until(lambda: not status_once(lab).detail, 30)
        journal = read_journal(lab.place.journal)
        assert journal is not None
        assert {name: child.pid for name, child in journal.children.items()} == pids(status_once(lab))


def test_one_that_has_lost_its_deployment_to_another_ends_and_takes_nobody_along(lab: Lab, plan: Plan) -> None:
    with daemon(lab, plan) as (first, _):
        before = pids(status_once(lab))
        lab.place.lock.unlink()
        lock = take_lock(lab.place.lock)
        assert lock is not None
        assert first.wait(30) == 4
        os.close(lock)
    assert all(is_alive(pid or 0) for pid in before.values())
    with daemon(lab, plan):
        assert pids(status_once(lab)) == before
