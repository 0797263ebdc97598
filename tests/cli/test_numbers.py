"""Numbers on the command line and in the environment: accepted or refused, whatever they contain."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
from command import Command

from dynkv.cli.commands import run
from dynkv.cli.ink import Ink
from dynkv.cli.log_files import with_copies
from dynkv.cli.planned import overrides
from dynkv.control.deadline import Deadline
from dynkv.errors import DynkvError, UsageError

LONG = "9" * 5000
"""More digits than Python reads as a number."""
WITH_TIMEOUT = ["wait", "down", "start x", "stop x", "restart x", "scale worker=1"]


@pytest.fixture(autouse=True)
def empty_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DYNKV_HOME", str(tmp_path / "home"))


@pytest.mark.parametrize("verb", [*WITH_TIMEOUT, "up agg"])
@pytest.mark.parametrize("given", ["nan", "-1", "-inf", "", "soon", "0x10", "1,5", "1_", "²"])
def test_what_is_no_time(verb: str, given: str) -> None:
    with pytest.raises(UsageError) as refused:
        run([*verb.split(), f"--timeout={given}"])
    assert f"{given!r} is not a number of seconds, 0 or more" in refused.value.what


@pytest.mark.parametrize("verb", WITH_TIMEOUT)
@pytest.mark.parametrize("given", ["0", "1e-308", "1e10", "1e308", "1e400", "inf", LONG])
def test_any_other_number_is_one(verb: str, given: str) -> None:
    with pytest.raises(DynkvError) as refused:
        run([*verb.split(), "--timeout", given])
    assert refused.value.exit_code == 3, "nothing runs here"


@pytest.mark.parametrize("given", ["1e10", "inf"])
def test_a_start_that_may_take_for_ever_is_one(tmp_path: Path, given: str) -> None:
    dynkv = Command(tmp_path)
    try:
        done = dynkv(
            "up", dynkv.profile("topology: none\nunits: [{name: a, argv: [sleep, '100']}]"), "--timeout", given
        )
        assert done.returncode == 0, done.stderr
        assert dynkv("wait", "--timeout", given).returncode == 0
    finally:
        dynkv.end_all()


@pytest.mark.parametrize("given", [1e8, 1e10, 1e308, float("inf")])
def test_more_than_a_year_is_no_end(given: float) -> None:
    deadline = Deadline(given)
    assert (deadline.timeout_s, deadline.cut(7), deadline.is_past) == (None, 7, False)


@pytest.mark.parametrize("size", ["worker=", "worker=²", f"worker={LONG}", "worker=-1", "worker=1e3", "=1", "worker"])
def test_what_is_no_size(size: str) -> None:
    with pytest.raises(UsageError, match="is not ROLE=N"):
        run(["scale", size])


@pytest.mark.parametrize("gpu", ["²", LONG, "-1", "0x1", "1e3"])
def test_what_is_no_index_is_the_name_of_a_gpu(gpu: str) -> None:
    (override,) = overrides(f"0,{gpu}", None, None, None, False, None)
    assert override.value == [0, gpu]


@pytest.mark.parametrize("given", ["²", LONG, "-1", "0", "wide", "٣"])
def test_a_width_that_is_none(monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    monkeypatch.setenv("COLUMNS", given)
    assert Ink(sys.stdout).width is None


@pytest.mark.parametrize("name", ["COLUMNS", "LINES"])
def test_a_size_of_the_terminal_that_is_none(tmp_path: Path, name: str) -> None:
    done = Command(tmp_path)("profiles", **{name: "²"})
    assert (done.returncode, done.stderr) == (0, "")
    assert "agg" in done.stdout


def test_what_is_named_like_a_copy_of_a_log_and_is_none(tmp_path: Path) -> None:
    for end in ("", ".1", ".2", ".²", f".{'9' * 200}", ".old", ".10"):
        (tmp_path / f"a.log{end}").touch()
    assert [file.name for file in with_copies(tmp_path / "a.log")] == ["a.log", "a.log.1", "a.log.2", "a.log.10"]


def test_nothing_waits_because_of_a_number(tmp_path: Path) -> None:
    began = time.monotonic()
    words = [sys.executable, "-m", "dynkv", "wait", "--timeout", "1e-308"]
    assert subprocess.run(words, capture_output=True).returncode == 3
    assert time.monotonic() - began < 20
