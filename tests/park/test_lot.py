"""Who may use what is parked, and the reason that others are given."""

from __future__ import annotations

from typing import cast

import pytest
from msgspec.structs import replace

from dynkv.park.around import around
from dynkv.park.lot import Lot, Parked, Stage, unusable
from dynkv.plan.model import Plan, Role, Standby

STANDBY = Standby("standby", ("json",), {"PATH": "/bin"}, (Role.WORKER,), keep=True, memory_bytes=1)
LOT = Lot("/state", "code", {"Umask": "0022"}, {}, (Parked(STANDBY, "/venv/python", Stage.PARKED),))


class _Plan:
    """The part of a plan that matters here."""

    def __init__(self, standby: Standby, python: str) -> None:
        self.standbys, self.python = (standby,), python


def why_not(lot: Lot = LOT, standby: Standby = STANDBY, python: str = "/venv/python", umask: str = "0022") -> str:
    return unusable(lot, cast(Plan, _Plan(standby, python)), "code", {"Umask": umask})


def test_a_deployment_that_needs_the_same_uses_it() -> None:
    assert why_not() == ""
    assert why_not(standby=replace(STANDBY, name="other", roles=(Role.DECODE,), keep=False)) == ""


@pytest.mark.parametrize(
    ("standby", "told"),
    [
        (replace(STANDBY, modules=("json", "csv")), "other modules are needed: csv"),
        (replace(STANDBY, env={"PATH": "/bin", "OMP_NUM_THREADS": "2"}), "its environment differs in OMP_NUM_THREADS"),
        (replace(STANDBY, python_options=("-P",)), "the interpreter's options differ"),
        (replace(STANDBY, cuda=True), "it was made for another device or engine"),
    ],
)
def test_what_differs_is_told(standby: Standby, told: str) -> None:
    assert why_not(standby=standby) == told


def test_what_stands_around_it_has_to_be_the_same() -> None:
    assert "/usr/bin/python" in why_not(python="/usr/bin/python")
    assert why_not(umask="0077") == "what processes inherit differs: Umask was 0022 and is 0077"
    assert "another dynkv" in why_not(replace(LOT, code="older"))


def test_one_deployment_at_a_time_has_it() -> None:
    assert why_not(replace(LOT, deployment="agg")) == "agg uses what is parked"


def test_what_still_imports_is_not_used() -> None:
    importing = replace(LOT, parked=(replace(LOT.parked[0], stage=Stage.IMPORTING),))
    assert why_not(importing) == "what is parked is importing"


def test_a_secret_value_is_never_told() -> None:
    assert "hidden" not in why_not(standby=replace(STANDBY, env={"PATH": "/bin", "KEY": "hidden"}))


def test_what_a_process_inherits_is_read() -> None:
    found = around()
    assert {"Uid", "Umask", "CapEff", "cgroup", "namespace net", "RLIMIT_NOFILE", "securebits", "root"} <= found.keys()
    assert found == around()
