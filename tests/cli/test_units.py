"""Verbs for several units: all of them are affected, or none."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from command import QUICK, Command, command_in


@pytest.fixture
def dynkv(tmp_path: Path) -> Iterator[Command]:
    with command_in(tmp_path) as command:
        assert command("up", command.profile(QUICK)).returncode == 0
        yield command


@pytest.mark.parametrize("verb", ["stop", "restart", "start"])
def test_of_names_that_do_not_all_exist_none_is_asked(dynkv: Command, verb: str) -> None:
    before = dynkv.pids()
    for named, words in [
        (("first", "nosuch", "slp", "nosuch"), "no units named 'nosuch', 'slp'; available: first, second"),
        (("second", ""), "no unit named ''; available: first, second"),
    ]:
        done = dynkv(verb, *named)
        assert done.returncode == 2
        assert done.stdout == ""
        assert words in done.stderr
    assert dynkv.pids() == before
    assert "requested" not in dynkv.place().events.read_text()


def test_of_sizes_that_cannot_all_be_none_is_asked(dynkv: Command) -> None:
    done = dynkv("scale", "worker=1", "decode=2")
    assert done.returncode == 2
    assert "no workers of role 'worker'; available: none" in done.stderr
