"""`up` after a supervisor's death: a failed start does not end what ran before it."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from command import UNITS, Command, command_in, is_alive, until
from lab import Lab
from msgspec.structs import replace

from dynkv.cli.launch import Order, launch
from dynkv.cli.takeover import Orphans, orphans
from dynkv.control.deadline import Deadline
from dynkv.errors import TimedOut
from dynkv.host.processes import Process
from dynkv.supervisor.journal import ChildRecord, JournalFile, read_journal

LEAVES = "mine took over the processes that ran before, and leaves them running; `dynkv down mine` ends it"
SOMEBODY = Process(7, 1, 7, 7, 70, "S")


@pytest.fixture
def dynkv(tmp_path: Path) -> Iterator[Command]:
    with command_in(tmp_path) as command:
        yield command


@pytest.fixture
def orphaned(dynkv: Command) -> dict[str, int]:
    """Two units that serve and one that is not ready yet, whose supervisor was killed; their pids."""
    profile = dynkv.profile(UNITS + dynkv.server("one") + dynkv.server("two") + dynkv.server("late", go=False))
    assert dynkv("up", profile, "--no-wait").returncode == 0
    until(lambda: len(dynkv.pids()) == 3)
    assert dynkv("start", "one", "two", "--wait").returncode == 0
    pids = dynkv.pids()
    dynkv.kill_supervisor()
    return pids


def are_supervised(dynkv: Command, pids: dict[str, int], *names: str) -> bool:
    """Whether these are the processes that ran before, and a supervisor watches them."""
    units = {unit["name"]: unit["pid"] for unit in dynkv.status()["units"]}
    assert dynkv.status()["supervisor"] is not None
    return all(is_alive(pids[name]) and units[name] == pids[name] for name in names)


def until_taken_over(dynkv: Command) -> None:
    until(lambda: dynkv.place().has_supervisor() and '"kind":"adopt"' in dynkv.place().events.read_text())


class TestWhatRestedBefore:
    def test_rests_on(self, dynkv: Command) -> None:
        """The newest request outlives the supervisor that received it, even just before its death."""
        profile = dynkv.profile(UNITS + dynkv.server("one") + dynkv.server("two") + dynkv.server("three"))
        assert dynkv("up", profile).returncode == 0
        pids = dynkv.pids()
        assert dynkv("stop", "two", "--wait").returncode == 0
        assert dynkv("stop", "three").returncode == 0
        dynkv.kill_supervisor()
        up = dynkv("up", profile)
        assert (up.returncode, "still stopped, as requested: two three" in up.stdout) == (0, True)
        assert dynkv.pids() == {"one": pids["one"]}
        assert [unit["state"] for unit in dynkv.status()["units"]] == ["ready", "stopped", "stopped"]
        assert dynkv("start", "two", "three", "--wait").returncode == 0
        assert dynkv.status()["state"] == "ready"


class TestWhatIsAskedMeanwhile:
    @pytest.mark.parametrize("verb", ["restart", "stop"])
    def test_ends_no_start(self, dynkv: Command, verb: str) -> None:
        """From a second terminal, while the first one waits."""
        profile = dynkv.profile(UNITS + dynkv.server("one") + dynkv.server("late", go=False))
        with dynkv.begun("up", profile) as up:
            until(lambda: len(dynkv.pids()) == 2)
            assert dynkv("start", "one", "--wait").returncode == 0
            assert dynkv(verb, "one", "--wait").returncode == 0
            dynkv.let_go("late")
            _, err = up.communicate(timeout=60)
        assert (up.returncode, err) == (0, "")


class TestWhatRanBefore:
    def test_goes_on_when_one_of_it_dies(self, dynkv: Command, orphaned: dict[str, int]) -> None:
        with dynkv.begun("up", "mine.yaml") as up:
            until_taken_over(dynkv)
            os.kill(orphaned["two"], signal.SIGKILL)
            until(lambda: dynkv.pids().get("two", orphaned["two"]) != orphaned["two"])
            dynkv.let_go("late")
            _, err = up.communicate(timeout=60)
        assert (up.returncode, err) == (0, ""), "it has served, and is brought back"
        assert are_supervised(dynkv, orphaned, "one", "late")

    def test_goes_on_when_one_of_it_dies_for_good(self, dynkv: Command, orphaned: dict[str, int]) -> None:
        (dynkv.directory / "server.py").write_text("raise SystemExit(1)")
        with dynkv.begun("up", "mine.yaml", "--set", "restart.max_restarts=1") as up:
            until_taken_over(dynkv)
            os.kill(orphaned["two"], signal.SIGKILL)
            out, err = up.communicate(timeout=60)
        assert up.returncode == 1, err
        assert "error: two died during start" in err
        assert LEAVES in out.splitlines()
        assert are_supervised(dynkv, orphaned, "one", "late")

    def test_goes_on_when_time_is_up(self, dynkv: Command, orphaned: dict[str, int]) -> None:
        done = dynkv("up", "mine.yaml", "--timeout", "3")
        assert done.returncode == 5, done.stderr
        assert "error: not ready after 3 s: late is starting" in done.stderr
        assert LEAVES in done.stdout.splitlines()
        assert are_supervised(dynkv, orphaned, "one", "two", "late")

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_goes_on_after_ctrl_c(self, dynkv: Command, orphaned: dict[str, int], number: int) -> None:
        with dynkv.begun("up", "mine.yaml") as up:
            until_taken_over(dynkv)
            up.send_signal(number)
            out, err = up.communicate(timeout=60)
        assert (up.returncode, err) == (130, "")
        assert LEAVES in out.splitlines()
        assert are_supervised(dynkv, orphaned, "one", "two", "late")

    def test_goes_on_when_a_unit_that_has_changed_does_not_come_up(
        self, dynkv: Command, orphaned: dict[str, int]
    ) -> None:
        text = (dynkv.directory / "mine.yaml").read_text()
        changed = [line.replace("python3", "'false'") if "name: two" in line else line for line in text.splitlines()]
        dynkv.profile("\n".join(changed))
        done = dynkv("up", "mine.yaml")
        assert done.returncode == 1, done.stderr
        assert "error: two died during start" in done.stderr
        assert LEAVES in done.stdout.splitlines()
        assert are_supervised(dynkv, orphaned, "one", "late")
        assert not is_alive(orphaned["two"])

    def test_goes_on_when_the_supervisor_falls_silent(self, dynkv: Command, orphaned: dict[str, int]) -> None:
        with dynkv.begun("up", "mine.yaml", "--timeout", "4") as up:
            until_taken_over(dynkv)
            os.kill(supervisor := dynkv.supervisor(), signal.SIGSTOP)
            out, _ = up.communicate(timeout=60)
        assert up.returncode == 5
        assert LEAVES in out.splitlines()
        os.kill(supervisor, signal.SIGCONT)
        assert are_supervised(dynkv, orphaned, "one", "two", "late")

    def test_is_not_touched_before_there_is_a_supervisor(self, dynkv: Command, orphaned: dict[str, int]) -> None:
        assert dynkv("up", "mine.yaml", "--timeout", "0").returncode == 5
        assert not dynkv.place().has_supervisor()
        assert all(map(is_alive, orphaned.values()))
        assert dynkv("down").returncode == 0
        assert not any(map(is_alive, orphaned.values()))


def test_when_none_of_it_could_be_taken_over_nothing_is_left(dynkv: Command, orphaned: dict[str, int]) -> None:
    text = (dynkv.directory / "mine.yaml").read_text()
    dynkv.profile(re.sub(r"name: (\w+)", r"name: other-\1", text.replace("python3", "'false'")))
    done = dynkv("up", "mine.yaml")
    assert done.returncode == 1
    assert "taking it down again" in done.stdout.splitlines()
    assert dynkv.left_running() == []


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # the supervisor outlives the call
def test_ended_before_it_has_reported_a_supervisor_takes_over_all_the_same(tmp_path: Path) -> None:
    """As if time were up between planning and the supervisor's first report."""
    lab = Lab(tmp_path)
    plan = lab.plan(lab.unit())
    launch(Order(plan, lab.place), Deadline(60), spare=False)
    dynkv = Command(tmp_path, tmp_path)
    pid = until(lambda: dynkv.pids("lab"))["worker-0"]
    dynkv.kill_supervisor("lab")
    before = orphans(lab.place)
    with pytest.raises(TimedOut):
        launch(Order(plan, lab.place), Deadline(0), spare=True)
    assert before.were_taken_over(read_journal(lab.place.journal))
    assert lab.place.has_supervisor()
    assert dynkv.pids("lab") == {"worker-0": pid}
    assert is_alive(pid)
    dynkv.end_all()


class TestBy:
    """A takeover is recognised by the journal that the new supervisor has written."""

    CHILD = ChildRecord(7, 70, "seven", "digest", {}, "2026-01-01T00:00:01+00:00")
    BEFORE = JournalFile(1, "boot", 5, 50, "2026-01-01T00:00:00+00:00", "/s", None, {"one": CHILD})
    NEW = replace(BEFORE, supervisor_pid=6, started_at="2026-02-02T00:00:00+00:00", children={})

    @pytest.mark.parametrize(
        ("change", "was"),
        [
            (lambda new: replace(new, started_at="2026-01-01T00:00:00+00:00"), True),
            (lambda new: new, False),
            (lambda new: replace(new, children={"one": TestBy.CHILD}), True),
            (lambda new: replace(new, children={"one": replace(TestBy.CHILD, incarnation="eight")}), False),
            (lambda new: None, True),
        ],
        ids=["same start", "new start", "same child", "new child", "unreadable"],
    )
    def test_the_journal(self, change: Callable[[JournalFile], JournalFile | None], was: bool) -> None:
        assert Orphans([SOMEBODY], self.BEFORE).were_taken_over(change(self.NEW)) == was

    def test_where_nothing_ran_nothing_was(self) -> None:
        assert not Orphans([], self.BEFORE).were_taken_over(self.BEFORE)
        assert not Orphans([SOMEBODY], None).were_taken_over(self.BEFORE)
