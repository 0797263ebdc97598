"""The stack's interpreter and its packages. Everything here is real."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from dynkv.doctor.stack import PACKAGES, find_python, look_into, python_for
from dynkv.errors import PreflightRefused
from dynkv.profile.load import load

OTHER_PYTHON = next((p for p in map(Path, ("/usr/bin/python3", "/usr/local/bin/python3")) if p.exists()), None)


def test_our_own(tmp_path: Path) -> None:
    assert python_for(load("agg").profile, tmp_path) == sys.executable
    assert look_into(sys.executable).packages.keys() <= set(PACKAGES)


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    link = tmp_path / "python"
    link.symlink_to(sys.executable)
    assert find_python(str(link)) == str(link)


def test_by_name_and_from_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "stackpython").symlink_to(sys.executable)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert find_python("stackpython") == str(tmp_path / "stackpython")
    assert find_python("~/stackpython") == str(tmp_path / "stackpython")


def test_none() -> None:
    with pytest.raises(PreflightRefused, match="no interpreter /nowhere/python") as refused:
        find_python("/nowhere/python")
    assert refused.value.exit_code == 4


@pytest.mark.skipif(OTHER_PYTHON is None, reason="there is no other interpreter")
def test_another_one_is_asked() -> None:
    assert OTHER_PYTHON is not None
    assert "vllm" not in look_into(find_python(str(OTHER_PYTHON))).packages


def test_an_environment_behind_a_link_says_the_same_as_ours() -> None:
    folder = Path(sys.executable).parent
    beside = next(p for p in (folder / "python", folder / "python3") if str(p) != sys.executable)
    assert look_into(str(beside)) == look_into(sys.executable)


@pytest.mark.parametrize("script", ["exit 3", "echo no json", "kill -9 $$", "echo 7", "echo [[3], 1]"])
def test_a_broken_one(tmp_path: Path, script: str) -> None:
    fake = tmp_path / "python"
    fake.write_text(f"#!/bin/sh\n{script}\n")
    fake.chmod(0o755)
    with pytest.raises(PreflightRefused, match="does not work as a Python interpreter"):
        look_into(str(fake))
