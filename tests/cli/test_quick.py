"""What is answered before anything large is imported; and the answer is the same."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace
from played import supervised
from sample import STATUS

from dynkv.cli import commands
from dynkv.cli.glance import glance
from dynkv.cli.quick import quick
from dynkv.cli.verbs import VERBS
from dynkv.errors import NotRunning, UnknownDeployment
from dynkv.supervisor.status import DeploymentStatus, SupervisorStatus

LARGE = {"typer", "click", "rich", "anyio", "pydantic", "ruamel", "uvicorn"}
CLASSES = {"msgspec", "dataclasses", "inspect", "http", "email"}
HEAD = b"HTTP/1.1 200 OK\r\n\r\n"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DYNKV_HOME", str(tmp_path))
    for name in ("COLUMNS", "FORCE_COLOR", "NO_COLOR", "_DYNKV_COMPLETE"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def encoded(status: DeploymentStatus = STATUS) -> bytes:
    return HEAD + msgspec.json.encode(status)


def taken_down(home: Path, name: str) -> None:
    (home / name).mkdir()
    (home / name / "journal.json").write_text('{"stopped": true}')


def imported_by(*words: str, code: int) -> set[str]:
    script = (
        "import atexit, sys\nfrom dynkv.__main__ import main\n"
        "@atexit.register\n"
        "def tell(): print(*sys.modules, file=open(sys.argv[0] + '.modules', 'w'))\n"
        "main()\n"
    )
    path = Path(os.environ["DYNKV_HOME"]) / "_script.py"
    path.write_text(script)
    ended = subprocess.run([sys.executable, str(path), *words], capture_output=True)
    assert ended.returncode == code
    modules = Path(f"{path}.modules").read_text().split()
    return {module.split(".")[0] for module in modules}


@pytest.mark.parametrize(
    ("words", "code"), [(("--version",), 0), (("--help",), 0), ((), 2), (("status",), 3), (("status", "--json"), 3)]
)
def test_nothing_large_is_imported(words: tuple[str, ...], code: int) -> None:
    assert not imported_by(*words, code=code) & (LARGE | CLASSES)


@pytest.mark.parametrize("words", [("status",), ("status", "--json"), ("status", "agg")])
def test_nothing_large_is_imported_for_the_status_of_what_runs(home: Path, words: tuple[str, ...]) -> None:
    with supervised(home, encoded()):
        assert not imported_by(*words, code=0) & (LARGE | CLASSES | {"typing"})


def test_a_start_imports_neither_what_draws_nor_what_asks(home: Path) -> None:
    """typer is for unusual command lines, rich for terminals, asyncio, TLS and HTTP for the supervisor, etcd for
    clusters."""
    script = "import sys, dynkv.cli.bringup; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    others = {"typer", "rich", "anyio", "asyncio", "h11", "ssl", "uvicorn", "textual"}
    assert not {module.split(".")[0] for module in done.stdout.split()} & others
    not_yet = {"dynkv.cli.converge", "dynkv.cli.view", "dynkv.supervisor.salvage", "dynkv.supervisor.succession"}
    assert not {*done.stdout.split()} & not_yet


def test_nothing_large_is_imported_before_down_says_something(home: Path) -> None:
    assert not imported_by("down", code=3) & LARGE


@pytest.mark.parametrize("words", [["status"], ["status", "--json"], ["status", "--json", "agg"]])
@pytest.mark.parametrize("colour", ["", "1"])
def test_the_answer_is_the_same_with_the_classes(
    home: Path, words: list[str], colour: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", colour)
    with supervised(home, encoded()):
        assert quick(words) == 0
        quickly = capsys.readouterr().out
        assert commands.run(words) == 0
    assert capsys.readouterr().out == quickly
    if "--json" in words:
        assert msgspec.json.decode(quickly, type=DeploymentStatus) == STATUS


@pytest.mark.parametrize(
    "answer",
    [
        None,
        b"",
        HEAD + b"[1]",
        HEAD + b'{"name": "agg"}',
        HEAD + b'{"supervisor": null}',
        encoded()[:-1],
        encoded(replace(STATUS, supervisor=SupervisorStatus(1, "0.0.1", 5.0))),
        encoded().replace(b"200", b"500"),
    ],
    ids="silent closed list incomplete unsupervised half version error".split(),
)
def test_an_unusual_answer_is_left_to_the_patient_way(
    home: Path, answer: bytes | None, capsys: pytest.CaptureFixture[str]
) -> None:
    with supervised(home, answer):
        assert not glance(as_json=False)
    assert capsys.readouterr().out == ""


def test_it_says_what_is_down(home: Path) -> None:
    with pytest.raises(NotRunning, match="no deployment is running"):
        glance(as_json=False)
    with pytest.raises(UnknownDeployment):
        glance("agg", as_json=False)
    taken_down(home, "agg")
    with pytest.raises(NotRunning, match="'agg'"):
        glance(as_json=False)
    taken_down(home, "other")
    with pytest.raises(NotRunning, match="no deployment"):
        glance(as_json=False)
    with pytest.raises(NotRunning, match="'other'"):
        glance("other", as_json=False)


def test_what_died_without_being_taken_down_is_left_to_the_patient_way(home: Path) -> None:
    (home / "agg").mkdir()
    (home / "agg" / "journal.json").write_text('{"stopped": false}')
    assert not glance(as_json=False)


def test_the_one_that_runs_is_shown_and_of_two_none(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    taken_down(home, "old")
    with supervised(home, encoded()):
        assert glance(as_json=True)
        capsys.readouterr()
        with supervised(home, encoded(), "second"):
            assert not glance(as_json=True)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    "words",
    [
        ["status", "--help"],
        ["status", "a", "b"],
        ["status", "--json", "--json"],
        ["status", "--", "a"],
        ["down", "--timeout", "5"],
        ["--version", "status"],
        ["--verbose"],
        ["up", "--name"],
        ["restart", "worker-0"],
    ],
    ids=" ".join,
)
def test_everything_else_is_typers(words: list[str]) -> None:
    assert quick(words) is None


def test_completion_is_typers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_DYNKV_COMPLETE", "complete_bash")
    assert quick([]) is None


def printed(*words: str, **environ: str) -> str:
    kept = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "GITHUB_ACTIONS")}
    asked = [sys.executable, "-m", "dynkv", *words]
    return subprocess.run(asked, capture_output=True, encoding="utf-8", env={**kept, **environ}, check=True).stdout


@pytest.mark.parametrize("environ", [{}, {"FORCE_COLOR": "1"}, {"COLUMNS": "60"}], ids=str)
def test_typer_prints_the_same_help(environ: dict[str, str]) -> None:
    assert printed("--debug", "--help", "status", **environ) == printed("--help", **environ) != ""


def test_the_help_is_for_a_screen_of_80_columns_and_24_lines(capsys: pytest.CaptureFixture[str]) -> None:
    """One line is left for the prompt."""
    assert quick(["--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) < 24
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize("columns", ["40", "60", "80", "120"])
def test_every_verb_is_in_the_help_with_what_it_is_for(
    columns: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    assert quick(["--help"]) == 0
    shown = capsys.readouterr().out
    for verb in VERBS:
        assert re.search(rf"(?m)(^|  ){verb.name} +{re.escape(verb.short)}(  |$)", shown), verb.name
    assert [shown.index(f"\n{group}\n") for group in ("Run", "Watch", "Prepare")] == sorted(
        shown.index(f"\n{group}\n") for group in ("Run", "Watch", "Prepare")
    )
