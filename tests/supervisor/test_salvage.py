"""What a dead supervisor left."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from apart import NOBODY, as_root
from daemons import daemon
from lab import Lab
from msgspec.structs import replace
from odd import Odd, fifo, huge, link, link_to_nothing
from processes import Family, family, is_alive, until

from dynkv.children.marks import MARK_DEPLOYMENT, MARK_HOME
from dynkv.children.tree import Host
from dynkv.home import Place
from dynkv.host.processes import is_own
from dynkv.plan.model import Plan, Role, Unit
from dynkv.supervisor.journal import ChildRecord, JournalFile
from dynkv.supervisor.leftovers import leftovers
from dynkv.supervisor.salvage import adoptable, changed_units, clear_files, end_all_but, end_survivors, orphaned_status
from dynkv.supervisor.states import State
from dynkv.supervisor.survivors import strays_of, survivors

TREE = """
if os.fork() == 0:
    os.setsid(); say('grandchild'); wait()
say('child'); wait()
"""


@dataclass
class Left:
    """A child that runs, in a journal whose supervisor is gone."""

    family: Family
    unit: Unit
    plan: Plan
    journal: JournalFile

    @property
    def record(self) -> ChildRecord:
        return self.journal.children["worker-0"]

    def with_record(self, **changes: object) -> JournalFile:
        return replace(self.journal, children={"worker-0": replace(self.record, **changes)})

    @property
    def pids(self) -> set[int]:
        return {self.family.pid("child"), self.family.pid()}


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path / "home")


@contextmanager
def running(lab: Lab, directory: Path) -> Iterator[Left]:
    directory.mkdir()
    unit = replace(lab.unit(), stop_timeout_s=5)
    plan = lab.plan(unit)
    with family(directory, TREE, {MARK_HOME: str(lab.directory), MARK_DEPLOYMENT: lab.name}) as it:
        root = it.child.root
        record = ChildRecord(root.pid, root.start_ticks, root.incarnation, unit.digest(), {}, "2026-01-01T00:00:00Z")
        left = Left(it, unit, plan, lab.journal_file(plan, {"worker-0": record}))
        assert left.pids
        yield left


@pytest.fixture
def left(lab: Lab, tmp_path: Path) -> Iterator[Left]:
    with running(lab, tmp_path / "left") as it:
        yield it


def test_one_that_runs_as_planned_is_adoptable(lab: Lab, left: Left) -> None:
    assert adoptable(left.journal, left.plan, lab.place) == {"worker-0": left.record}


def test_one_that_would_be_started_otherwise_now_goes_on_until_its_turn(lab: Lab, left: Left) -> None:
    changed = lab.plan(replace(left.unit, env={"GIVEN": "something else"}))
    assert adoptable(left.journal, changed, lab.place) == {"worker-0": left.record}
    assert changed_units(left.journal, changed) == {"worker-0": left.unit}


def test_one_that_keeps_what_another_may_be_given_does_not(lab: Lab, left: Left) -> None:
    assert adoptable(left.journal, lab.plan(replace(left.unit, gpus=("1",))), lab.place) == {}
    assert adoptable(left.journal, lab.plan(replace(left.unit, name="worker-1")), lab.place) == {}


def test_one_of_another_boot_is_not(lab: Lab, left: Left) -> None:
    before = replace(left.journal, boot_id="another")
    assert adoptable(before, left.plan, lab.place) == {}


@pytest.mark.parametrize("what", ["start", "marker", "digest", "pid"])
def test_one_that_is_someone_else_is_not(lab: Lab, left: Left, what: str) -> None:
    changes: dict[str, object] = {
        "start": {"start_ticks": left.record.start_ticks + 1},
        "marker": {"incarnation": "0" * 32},
        "digest": {"digest": "0" * 16},
        "pid": {"pid": left.family.pid()},
    }
    given = changes[what]
    assert isinstance(given, dict)
    assert adoptable(left.with_record(**given), left.plan, lab.place) == {}


def test_one_that_has_died_is_not(lab: Lab, tmp_path: Path) -> None:
    with running(lab, tmp_path / "left") as left:
        pass
    assert adoptable(left.journal, left.plan, lab.place) == {}


def test_survivors_are_the_whole_tree(lab: Lab, left: Left) -> None:
    assert {process.pid for process in survivors(left.journal, lab.place)} == left.pids


def test_the_marked_survive_a_lost_record_and_none_is_of_another_home(lab: Lab, left: Left, tmp_path: Path) -> None:
    nothing = replace(left.journal, children={})
    assert {process.pid for process in survivors(nothing, lab.place)} == left.pids
    elsewhere = Lab(tmp_path / "elsewhere")
    assert survivors(nothing, elsewhere.place) == []


@as_root
def test_what_another_user_runs_is_none_of_the_deployments_whatever_it_says(lab: Lab, tmp_path: Path) -> None:
    """Its markers can be guessed, and root can read all of them."""
    script = f"os.setresuid({NOBODY}, {NOBODY}, {NOBODY}); time.sleep(1000)"
    with family(tmp_path, script, {MARK_HOME: str(lab.directory), MARK_DEPLOYMENT: lab.name}) as it:
        until(lambda: not is_own(it.child.pid))
        assert survivors(None, lab.place) == []
        assert leftovers(lab.directory) == ()


@pytest.mark.parametrize("name", ["copy", "moved", "linked"])
def test_a_directory_by_another_name(lab: Lab, left: Left, tmp_path: Path, name: str) -> None:
    journal = replace(left.journal, directory=str(lab.place.directory))
    other = Place(tmp_path / name, lab.name)
    if name == "copy":
        other.create()
    elif name == "moved":
        lab.directory.rename(other.home)
    else:
        other.home.symlink_to(lab.directory)
    expected: set[int] = set() if name == "copy" else left.pids
    assert {process.pid for process in survivors(journal, other)} == expected
    assert bool(adoptable(journal, left.plan, other)) == bool(expected)


def test_strays_that_can_be_none_reach_nobody(lab: Lab, left: Left) -> None:
    """They are only inspected: after a wrong answer, no process here would survive."""
    host, own = Host.now(), os.getpid()
    forged = [process.identity for process in host.processes.values() if process.pgid == 0 or process.pid in (1, own)]
    forged += [host.processes[pid].identity for pid in (*left.pids, os.getppid()) if pid in host.processes]
    forged += [(left.record.pid, 1), (0, 0), (-1, 5)]
    with daemon(lab, lab.plan(lab.unit("other", role=Role.FRONTEND)), "--replace") as (supervisor, _):
        host = Host.now()
        forged.append(host.processes[supervisor.pid].identity)
        assert strays_of(replace(left.journal, strays=tuple(forged)), lab.place, host) == []


@pytest.mark.anyio
async def test_a_record_of_a_stranger_reaches_nobody(lab: Lab, left: Left, tmp_path: Path) -> None:
    """Its pid and start time are correct, but the process does not belong to the deployment."""
    with running(Lab(lab.directory, "other"), tmp_path / "stranger") as stranger:
        forged = replace(stranger.record, incarnation=left.record.incarnation)
        journal = lab.journal_file(left.plan, {"worker-0": forged})
        assert {process.pid for process in survivors(journal, lab.place)} == left.pids
        assert await end_survivors(journal, lab.place) == 2
        assert all(map(is_alive, stranger.pids))


@pytest.mark.anyio
async def test_without_a_journal_the_marked_are_found_and_ended(lab: Lab, left: Left, tmp_path: Path) -> None:
    with running(Lab(lab.directory, "other"), tmp_path / "bystander") as bystander:
        assert {process.pid for process in survivors(None, lab.place)} == left.pids
        assert await end_survivors(None, lab.place) == 2
        assert survivors(None, lab.place) == []
        assert all(map(is_alive, bystander.pids))


@pytest.mark.anyio
async def test_they_are_ended_and_a_bystander_is_spared(lab: Lab, left: Left, tmp_path: Path) -> None:
    with running(Lab(lab.directory, "other"), tmp_path / "bystander") as bystander:
        lab.place.socket.touch()
        assert await end_survivors(left.journal, lab.place) == 2
        assert not any(map(is_alive, left.pids))
        assert all(map(is_alive, bystander.pids))
        assert not lab.place.socket.exists()
        assert await end_survivors(left.journal, lab.place) == 0


@pytest.mark.anyio
async def test_a_pid_of_another_boot_is_nobodys(lab: Lab, tmp_path: Path) -> None:
    """Without markers, as it would be found by them."""
    with family(tmp_path, "say('child'); wait()") as it:
        it.pid("child")
        root = it.child.root
        record = ChildRecord(root.pid, root.start_ticks, root.incarnation, "", {}, "")
        journal = lab.journal_file(lab.plan(lab.unit()), {"worker-0": record})
        assert await end_survivors(replace(journal, boot_id="another"), lab.place) == 0
        assert is_alive(it.child.pid)


@pytest.mark.anyio
async def test_all_but_the_kept_are_killed(lab: Lab, left: Left, tmp_path: Path) -> None:
    with running(lab, tmp_path / "second") as second:
        assert await end_all_but([left.record], left.journal, lab.place) == 2
        assert not any(map(is_alive, second.pids))
        assert all(map(is_alive, left.pids))
        assert await end_all_but([], left.journal, lab.place) == 2


@pytest.mark.parametrize("odd", [fifo, huge, link, link_to_nothing])
def test_what_lies_in_the_place_of_a_directory_goes_and_nothing_else(lab: Lab, odd: Odd) -> None:
    odd(lab.place.discovery)
    beside = {path for path in lab.directory.iterdir() if path != lab.place.directory}
    clear_files(lab.place)
    assert not os.path.lexists(lab.place.discovery)
    assert {path for path in lab.directory.iterdir() if path != lab.place.directory} == beside


def test_files_of_the_kept_stay(lab: Lab) -> None:
    for name in ("a", "b"):
        lab.place.scratch(name).mkdir(parents=True)
    discovery = lab.place.discovery
    discovery.mkdir()
    clear_files(lab.place, ["a"])
    assert (lab.place.scratch("a").exists(), lab.place.scratch("b").exists(), discovery.exists()) == (True, False, True)
    clear_files(lab.place)
    assert (lab.place.scratch("a").exists(), discovery.exists()) == (False, False)
    assert not lab.place.scratch_root.exists()


def test_how_it_looks_from_outside(lab: Lab, left: Left) -> None:
    plan = lab.plan(left.unit, lab.unit("frontend"))
    status = orphaned_status(replace(left.journal, plan=plan), lab.place)
    assert (status.state, status.supervisor) == ("degraded", None)
    assert [(unit.state, unit.pid) for unit in status.units] == [
        (State.UNREADY, left.record.pid),
        (State.STOPPED, None),
    ]
