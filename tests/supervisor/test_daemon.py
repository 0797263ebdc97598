"""The whole supervisor as a process: up, killed, up again with the same children, down."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest
from daemons import daemon, pids, status_once
from lab import Lab
from msgspec.structs import replace
from processes import is_alive, until

from dynkv.children.stop import kill_tree
from dynkv.control.handshake import READY, TAKEN, UNCLEAR
from dynkv.plan.model import Condition, Dependency, Plan, Probe, Probes, Role
from dynkv.supervisor.journal import VERSION, read_journal
from dynkv.supervisor.salvage import end_survivors
from dynkv.supervisor.survivors import survivors


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


@pytest.fixture
def plan(lab: Lab) -> Plan:
    frontend = lab.unit("frontend", role=Role.FRONTEND)
    return lab.plan(frontend, lab.unit(depends_on=(Dependency("frontend", Condition.READY),)))


@pytest.fixture(autouse=True)
def clean_up(lab: Lab) -> Iterator[None]:
    yield
    journal = read_journal(lab.place.journal)  # or by their markers, if there is no journal
    anyio.run(kill_tree, lambda: survivors(journal, lab.place))


def test_killed_and_started_again_it_takes_over_what_runs_and_in_the_end_leaves_nothing(lab: Lab, plan: Plan) -> None:
    with daemon(lab, plan) as (first, reported):
        assert reported == READY
        before = status_once(lab)
        assert before.supervisor is not None
        assert before.supervisor.pid == first.pid
        first.kill()
        first.wait()
    running = pids(before)
    assert all(pid and is_alive(pid) for pid in running.values())

    with daemon(lab, plan) as (second, reported):
        assert reported == READY
        began = time.monotonic()
        after = status_once(lab)
        assert time.monotonic() - began < 3
        assert pids(after) == running
        assert after.started_at == before.started_at
        assert [unit.restarts for unit in after.units] == [0, 0]

        second.send_signal(signal.SIGTERM)
        assert second.wait(30) == 0
    assert not any(pid and is_alive(pid) for pid in running.values())
    assert not lab.place.socket.exists()
    journal = read_journal(lab.place.journal)
    assert journal is not None
    assert (journal.stopped, journal.children) == (True, {})
    assert survivors(journal, lab.place) == []
    assert lab.place.supervisor_log.read_text() == ""


def test_a_child_whose_plan_has_changed_is_not_taken_over(lab: Lab, plan: Plan) -> None:
    with daemon(lab, plan):
        before = pids(status_once(lab))
    frontend, worker = plan.units
    new = replace(plan, units=(frontend, replace(worker, env={"GIVEN": "anew"})))
    with daemon(lab, new):
        after = pids(status_once(lab))
        assert after["frontend"] == before["frontend"]
        assert after["worker-0"] != before["worker-0"]
        assert not is_alive(before["worker-0"] or 0)


def test_a_child_that_it_took_over_is_brought_back_when_it_dies(lab: Lab, plan: Plan) -> None:
    with daemon(lab, plan):
        before = pids(status_once(lab))
    with daemon(lab, plan):
        status_once(lab)
        os.kill(before["worker-0"] or 0, signal.SIGKILL)
        until(lambda: pids(status_once(lab))["worker-0"] not in (None, before["worker-0"]), 30)
        assert pids(status_once(lab))["frontend"] == before["frontend"]


def test_a_second_supervisor_of_the_same_deployment_leaves_it_alone(lab: Lab, plan: Plan) -> None:
    with daemon(lab, plan) as (first, _):
        before = pids(status_once(lab))
        with daemon(lab, plan) as (second, reported):
            assert reported == TAKEN
            assert second.wait(10) == 4
        assert first.poll() is None
        assert pids(status_once(lab)) == before


def test_in_the_foreground_it_says_why_it_does_not_stay(lab: Lab, plan: Plan) -> None:
    with daemon(lab, plan):
        status_once(lab)
        with daemon(lab, plan, stdout=subprocess.DEVNULL) as (second, _):
            assert second.wait(10) == 4
    lab.place.journal.write_bytes(b"[]")
    with daemon(lab, plan, stdout=subprocess.DEVNULL) as (third, _):
        assert third.wait(10) == 4
    said = lab.place.supervisor_log.read_text()
    assert "error: deployment 'lab' is already running\n  hint: " in said
    assert "its journal cannot be understood\n  pid " in said


def test_a_damaged_journal_is_kept_and_costs_no_start(lab: Lab, plan: Plan) -> None:
    lab.place.journal.write_bytes(b'{"version": 1, "boot')
    with daemon(lab, plan) as (_, reported):
        assert reported == READY
        status_once(lab)
        assert lab.place.journal.with_suffix(".json.damaged").exists()


def no_journal(content: dict[str, Any]) -> bytes:
    return b"[]"


def cut_short(content: dict[str, Any]) -> bytes:
    return msgspec.json.encode(content)[:-20]


def of_another_version(content: dict[str, Any]) -> bytes:
    return msgspec.json.encode({**content, "version": VERSION + 1})


def with_another_plan(content: dict[str, Any]) -> bytes:
    """A journal whose plan has one field more, or one less, so that this dynkv cannot read it."""
    return msgspec.json.encode({**content, "version": VERSION + 1, "plan": {"nodes": ["here", "there"]}})


def with_a_child_that_cannot_be_read(content: dict[str, Any]) -> bytes:
    first, *others = content["children"].items()
    return msgspec.json.encode({**content, "children": {first[0]: {"pids": [1]}, **dict(others)}})


@pytest.mark.parametrize("written", [of_another_version, with_another_plan])
def test_what_another_version_left_is_taken_over(lab: Lab, plan: Plan, written: Callable[[Any], bytes]) -> None:
    """It can still be read which processes there are, and that they run as this plan says."""
    with daemon(lab, plan):
        before = pids(status_once(lab))
    lab.place.journal.write_bytes(written(json.loads(lab.place.journal.read_bytes())))
    with daemon(lab, plan) as (_, reported):
        assert reported == READY
        assert pids(status_once(lab)) == before


@pytest.mark.parametrize("written", [no_journal, cut_short, with_a_child_that_cannot_be_read])
def test_what_it_does_not_understand_it_ends_only_when_told_to(
    lab: Lab, plan: Plan, written: Callable[[Any], bytes]
) -> None:
    with daemon(lab, plan):
        before = pids(status_once(lab))
    lab.place.journal.write_bytes(written(json.loads(lab.place.journal.read_bytes())))
    with daemon(lab, plan) as (process, reported):
        assert (reported, process.wait(10)) == (UNCLEAR, 4)
    assert all(pid and is_alive(pid) for pid in before.values())
    with daemon(lab, plan, "--replace") as (_, reported):
        assert reported == READY
        after = pids(status_once(lab))
    assert not any(is_alive(before[name] or 0) for name in before if before[name] != after[name])


def test_of_another_version_what_is_not_planned_any_more_is_not_ended_unasked(lab: Lab, plan: Plan) -> None:
    """The digest may have another meaning there."""
    with daemon(lab, plan):
        before = pids(status_once(lab))
    lab.place.journal.write_bytes(of_another_version(json.loads(lab.place.journal.read_bytes())))
    changed = replace(plan, units=tuple(replace(unit, env={"GIVEN": "anew"}) for unit in plan.units))
    with daemon(lab, changed) as (_, reported):
        assert reported == UNCLEAR
    assert all(pid and is_alive(pid) for pid in before.values())


def test_a_closed_terminal_ends_no_deployment(lab: Lab, plan: Plan) -> None:
    with daemon(lab, plan) as (process, _):
        before = pids(status_once(lab))
        process.send_signal(signal.SIGHUP)
        assert pids(status_once(lab)) == before
        assert process.poll() is None


DAEMONISES = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        with open(sys.argv[1], "w") as file: print(os.getpid(), file=file)
        os.execve("/bin/sleep", ["sleep", "1000"], {})
    os._exit(0)
os.wait()
time.sleep(1000)
"""
"""Its grandchild has neither its session, nor its parent, nor its environment."""


@pytest.fixture
def stray(lab: Lab) -> Iterator[Path]:
    path = lab.directory / "stray"
    yield path
    if path.exists() and is_alive(pid := int(path.read_text())):
        os.kill(pid, signal.SIGKILL)


def noted_stray(lab: Lab, path: Path) -> int:
    """The stray's pid, once the journal has it."""

    def look() -> int | None:
        journal, pid = read_journal(lab.place.journal), path.read_text() if path.exists() else ""
        return int(pid) if journal is not None and pid.endswith("\n") and int(pid) in dict(journal.strays) else None

    found = until(look, 30)
    assert found
    return found


@pytest.mark.parametrize("then", ["down without a supervisor", "down with another one", "another plan"])
def test_what_a_unit_has_daemonised_is_known_after_its_supervisors_death(lab: Lab, stray: Path, then: str) -> None:
    plan = lab.plan(
        lab.unit("frontend", role=Role.FRONTEND), lab.unit("own", ("python3", "-c", DAEMONISES, str(stray)))
    )
    plan = replace(plan, units=(plan.units[0], replace(plan.units[1], probes=Probes(Probe(()), Probe(())))))
    with daemon(lab, plan):
        pid = noted_stray(lab, stray)
    assert is_alive(pid)
    if then == "down without a supervisor":
        assert anyio.run(end_survivors, read_journal(lab.place.journal), lab.place) == 3
    elif then == "down with another one":
        with daemon(lab, plan) as (second, reported):
            assert reported == READY
            until(lambda: noted_stray(lab, stray), 30)
            assert is_alive(pid), "it may serve one of those that were taken over"
            second.send_signal(signal.SIGTERM)
            assert second.wait(30) == 0
    else:
        with daemon(lab, lab.plan(lab.unit("other", role=Role.FRONTEND))) as (_, reported):
            assert reported == READY
    assert not is_alive(pid)
