"""Making an environment for a stack: what is refused, what a failure leaves, and pip in place of uv."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

import dynkv.stacks.install
import dynkv.stacks.places
from dynkv.errors import PreflightRefused, UsageError
from dynkv.stacks.choice import Kind
from dynkv.stacks.install import NotInstalled, find_interpreter, install
from dynkv.stacks.places import StackPlace, State, own_place, pinned

UV = """#!/bin/sh
echo "$@" >> {log}
case $1 in
venv) for last; do :; done; mkdir -p "$last/bin"; ln -sf {python} "$last/bin/python"; touch "$last/pyvenv.cfg" ;;
pip) exit $(cat {code}) ;;
esac
"""


@pytest.fixture
def uv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The log of a fake uv that installs nothing; a file `code` next to it has its exit code."""
    log, code = tmp_path / "asked", tmp_path / "code"
    code.write_text("0")
    program = tmp_path / "programs" / "uv"
    program.parent.mkdir()
    program.write_text(UV.format(log=log, code=code, python=sys.executable))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.defpath}")
    return log


def test_it_is_there_when_all_of_it_is(uv: Path, tmp_path: Path) -> None:
    place, told = own_place(tmp_path / "home", Kind.CPU), list[str]()
    uv.with_name("code").write_text("2")
    with pytest.raises(NotInstalled, match="uv ended with exit code 2"):
        install(place, None, told.append)
    assert str(place.state) == "unfinished"
    uv.with_name("code").write_text("0")
    install(place, None, told.append)
    assert place.state is State.CURRENT
    asked = uv.read_text().splitlines()
    assert [line.split()[0] for line in asked] == ["venv", "pip", "pip"]
    assert f"--python {sys.executable} {place.directory}" in asked[0]
    assert asked[1] == asked[2]
    assert f"--no-deps --only-binary :all: --compile-bytecode --requirement {Path('requirements/cpu.txt')}" in asked[
        1
    ].replace(f"{Path(__file__).parents[2]}/", "")
    assert told[1] == f"installing {sum('==' in line for line in pinned('cpu').splitlines())} packages of the cpu stack"


def test_only_its_owner_may_look_into_it(uv: Path, tmp_path: Path) -> None:
    install(own_place(tmp_path / "home", Kind.CPU), None, print)
    assert [it.stat().st_mode & 0o077 for it in (tmp_path / "home", tmp_path / "home" / "_stack")] == [0, 0]
    install(StackPlace(Kind.CPU, tmp_path / "all" / "stack"), None, print)
    assert (tmp_path / "all").stat().st_mode & 0o055 == 0o055


def test_an_outdated_one_is_brought_up_to_date(uv: Path, tmp_path: Path) -> None:
    place = own_place(tmp_path / "home", Kind.MOCKER)
    install(place, None, print)
    place.mark.write_text("ai-dynamo==1.0.0\n")
    assert str(place.state) == "outdated"
    install(place, None, print)
    assert place.state is State.CURRENT
    assert [line.split()[0] for line in uv.read_text().splitlines()] == ["venv", "pip", "pip"]


def test_two_stacks_share_no_environment(uv: Path, tmp_path: Path) -> None:
    install(StackPlace(Kind.CPU, tmp_path / "one"), None, print)
    with pytest.raises(UsageError, match="has the cpu stack"):
        install(StackPlace(Kind.GPU, tmp_path / "one"), None, print)


def test_what_is_something_else_is_left_alone(uv: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter").touch()
    with pytest.raises(UsageError, match="is not a virtual environment"):
        install(StackPlace(Kind.CPU, tmp_path / "mine"), None, print)
    assert not uv.exists()


def test_where_nothing_can_be_written(uv: Path, tmp_path: Path) -> None:
    (tmp_path / "home").touch()
    with pytest.raises(PreflightRefused, match="cannot write to"):
        install(own_place(tmp_path / "home", Kind.CPU), None, print)


def test_an_interpreter_without_venv_is_named_with_what_helps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\n[ "$1" = -I ] && echo 3 11\n')
    python.chmod(0o755)
    monkeypatch.setenv("PATH", os.defpath)
    with pytest.raises(NotInstalled, match="python ended with exit code 1") as failed:
        install(own_place(tmp_path / "home", Kind.CPU), str(python), print)
    assert "python3-venv" in failed.value.hint


def test_torch_cannot_live_behind_a_space(uv: Path, tmp_path: Path) -> None:
    with pytest.raises(PreflightRefused, match="a path with a space"):
        install(StackPlace(Kind.CPU, tmp_path / "my stack"), None, print)
    install(StackPlace(Kind.MOCKER, tmp_path / "my stack"), None, print)


class TestInterpreter:
    @pytest.fixture(autouse=True)
    def path(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.setenv("PATH", str(tmp_path))
        return tmp_path

    def answering(self, path: Path, name: str, words: str) -> str:
        (path / name).write_text(f"#!/bin/sh\necho {words}\n")
        (path / name).chmod(0o755)
        return str(path / name)

    def test_dynkvs_own(self) -> None:
        assert find_interpreter(None) == sys.executable

    def test_one_on_path_where_dynkvs_is_too_new(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "executable", self.answering(path, "new", "3 14"))
        with pytest.raises(PreflightRefused, match=r"Python 3\.11 to 3\.13, and none"):
            find_interpreter(None)
        self.answering(path, "python3.13", "garbage")
        older = self.answering(path, "python3.12", "3 12")
        assert find_interpreter(None) == older

    def test_the_one_that_is_named(self, path: Path) -> None:
        assert find_interpreter("mine" if self.answering(path, "mine", "3 13") else None) == str(path / "mine")
        with pytest.raises(UsageError, match="old is none of these"):
            find_interpreter(self.answering(path, "old", "3 9"))


def test_pip_takes_uvs_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If there is no uv, and none can be installed."""
    (tmp_path / "mocker.txt").write_text("# nothing\n")
    (tmp_path / "uv.txt").write_text("uv==0.0.0\n")
    for module in (dynkv.stacks.install, dynkv.stacks.places):
        monkeypatch.setattr(module, "listed", lambda name: tmp_path / f"{name}.txt")
    monkeypatch.setenv("PATH", os.defpath)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    place = StackPlace(Kind.MOCKER, tmp_path / "made")
    install(place, None, print)
    assert place.state is State.CURRENT
    assert not place.python.with_name("uv").exists()
