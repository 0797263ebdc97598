"""Whatever is in a DYNKV_HOME, each verb ends soon, and reports in one sentence what it cannot do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from command import QUICK, Command, command_in
from odd import ODD, Odd, fifo, huge, put

pytestmark = pytest.mark.timeout(300)
VERBS = (
    ("status", "mine", "--json"),
    ("logs", "--name", "mine", "-n", "3"),
    ("logs", "first", "--name", "mine"),
    ("events", "mine"),
    ("restart", "first", "--name", "mine"),
    ("plan", "mine.yaml"),
    ("doctor", "mine.yaml"),
    ("doctor", "--clean"),
    ("down", "mine"),
)


@pytest.fixture
def dynkv(tmp_path: Path) -> Iterator[Command]:
    with command_in(tmp_path) as command:
        command.profile(QUICK)
        yield command


def is_well_answered(dynkv: Command, *words: str) -> int:
    done = dynkv(*words)
    assert done.returncode in (0, 1, 2, 3, 4), done.stderr
    assert "fault in dynkv" not in done.stderr
    assert done.returncode == 0 or done.stderr.startswith("error: ")
    return done.returncode


@pytest.mark.parametrize("odd", [*ODD, huge])
def test_what_a_deployment_that_is_down_may_have_become(dynkv: Command, odd: Odd) -> None:
    where = dynkv.place()
    where.create()
    (where.logs / "second.log").write_text("a line\n")
    for path in (where.journal, where.events, where.lock, where.socket):
        put(odd, path)
    for name in ("first.log", "x.log.1"):
        put(odd, where.logs / name)
    put(odd, dynkv.home / "_planning.lock") if odd is not huge else None
    for words in VERBS:
        is_well_answered(dynkv, *words)
    if odd is not huge:
        assert is_well_answered(dynkv, "up", "mine.yaml") == 4
        where.lock.rename(where.lock.with_name("lock.kept"))
        (dynkv.home / "_planning.lock").rename(dynkv.home / "_kept")
    assert is_well_answered(dynkv, "up", "mine.yaml") == 0
    for words in VERBS[:4]:
        is_well_answered(dynkv, *words)


def test_a_huge_log_shows_its_end(dynkv: Command) -> None:
    where = dynkv.place()
    where.create()
    where.journal.write_text("{}")
    huge(where.logs / "first.log")
    with (where.logs / "first.log").open("ab") as log:
        log.write(b"\nthe end\n")
    assert dynkv("logs", "first", "--name", "mine").stdout == "the end\n"


def test_a_log_that_is_none_is_named(dynkv: Command) -> None:
    where = dynkv.place()
    where.create()
    where.journal.write_text("{}")
    fifo(where.logs / "first.log")
    done = dynkv("logs", "first", "--name", "mine")
    assert done.returncode == 1
    assert "the log of first cannot be read: it is a FIFO" in done.stderr
