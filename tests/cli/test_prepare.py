"""Carrying out a plan's steps."""

from __future__ import annotations

import stat
import sys
from pathlib import Path

import pytest

from dynkv.cli.prepare import prepare
from dynkv.errors import PreflightRefused
from dynkv.plan.steps import MakeDirectory, Run


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def python(code: str, made: Path) -> Run:
    return Run((sys.executable, "-c", code), str(made), "the thing", "look at it")


class TestDirectories:
    def test_one_is_made_with_those_above_it(self, tmp_path: Path) -> None:
        prepare([MakeDirectory(str(tmp_path / "deep" / "kv"), 0o700, "L2")])
        assert mode(tmp_path / "deep" / "kv") == 0o700

    def test_one_that_is_there_stays_as_it_is(self, tmp_path: Path) -> None:
        tmp_path.chmod(0o750)
        prepare([MakeDirectory(str(tmp_path), 0o700, "L2")] * 2)
        assert mode(tmp_path) == 0o750

    def test_one_that_cannot_be_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        for path in (tmp_path / "file", tmp_path / "file" / "kv"):
            with pytest.raises(PreflightRefused) as refused:
                prepare([MakeDirectory(str(path), 0o700, "L2")])
            assert refused.value.what.startswith(f"the directory {path} (L2) could not be created: ")
            assert refused.value.hint


class TestPrograms:
    def test_one_is_run_until_what_it_makes_is_there(self, tmp_path: Path) -> None:
        made = tmp_path / "made"
        step = python(f"open({str(made)!r}, 'a').write('once')", made)
        prepare([step, step])
        assert made.read_text() == "once"

    def test_it_comes_after_the_steps_before_it(self, tmp_path: Path) -> None:
        made = tmp_path / "deep" / "made"
        prepare([MakeDirectory(str(made.parent), 0o700, "its place"), python(f"open({str(made)!r}, 'w')", made)])
        assert made.exists()

    def test_what_it_said_last_is_told_when_it_fails(self, tmp_path: Path) -> None:
        with pytest.raises(PreflightRefused) as refused:
            prepare([python("raise SystemExit('no ' * 2000 + 'tokenizers')", tmp_path / "made")])
        error = refused.value
        assert (error.what, error.hint) == ("the thing could not be created", "look at it")
        assert error.where == str(tmp_path / "made")
        assert error.detail.endswith("no tokenizers")
        assert len(error.detail) <= 2000

    def test_whatever_bytes_it_says_are_told(self, tmp_path: Path) -> None:
        code = "import sys; sys.stderr.buffer.write(b'caf\\xe9'); exit(1)"
        with pytest.raises(PreflightRefused) as refused:
            prepare([python(code, tmp_path / "made")])
        assert refused.value.detail == "caf\ufffd"

    def test_a_program_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(PreflightRefused, match="the thing could not be created") as refused:
            prepare([Run(("/nowhere/python",), str(tmp_path / "made"), "the thing", "look at it")])
        assert "/nowhere/python" in refused.value.detail

    def test_nothing_is_done_after_a_failure(self, tmp_path: Path) -> None:
        with pytest.raises(PreflightRefused):
            prepare([python("exit(1)", tmp_path / "made"), MakeDirectory(str(tmp_path / "later"), 0o700, "L2")])
        assert list(tmp_path.iterdir()) == []
