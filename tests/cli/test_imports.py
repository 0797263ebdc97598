"""dynkv and the stack's interpreter import only from their installation, wherever the command is run."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from command import Command, command_in
from surrounded import ONE, environ, started, unit_of

SCRIPT = str(Path(sys.executable).with_name("dynkv"))
ROOT = Path(__file__).parents[2]
OWN_MODULES = "anyio json msgspec typing signal enum socket pathlib h11 pydantic typer rich torch vllm".split()
AT_THE_START = "sitecustomize usercustomize __future__".split()
KEPT = ("PYTHONDONTWRITEBYTECODE", "PYTHONNOUSERSITE", "PYTHONHOME")
"""Variables that the supervisor needs to import its modules, or that say whether it may write bytecode."""


@pytest.fixture
def dynkv(tmp_path: Path) -> Iterator[Command]:
    with command_in(tmp_path) as command:
        yield command


def where_others_put_files(directory: Path) -> Path:
    """A directory with a trap for every module that might be imported; returns the file that records which ones
    were."""
    note = directory / "fell"
    for name in (*OWN_MODULES, *AT_THE_START):
        (directory / f"{name}.py").write_text(
            f"import sys\nwith open({str(note)!r}, 'a') as file: file.write(f'{{__name__}} {{sys.orig_argv}}\\n')\n"
            "raise RuntimeError(__name__)\n"
        )
    return note


class TestImports:
    """No module comes from the directory in which the command is run."""

    @pytest.mark.parametrize(
        ("how", "path"),
        [
            (["-m", "dynkv"], "{}"),
            ([SCRIPT], "{}"),
            (["-m", "dynkv"], ":{}"),
            ([SCRIPT], "{}:"),
            ([SCRIPT], "lib:.:./lib/:{}::"),
        ],
    )
    def test_by_no_entry_of_pythonpath(self, dynkv: Command, how: list[str], path: str) -> None:
        here = dynkv.directory / "here"
        (here / "lib").mkdir(parents=True)
        notes = [where_others_put_files(here), where_others_put_files(here / "lib")]
        (here / "dynkv").mkdir()
        (dynkv.directory / "mine.yaml").write_text(ONE)
        env = {**dynkv.env, "PYTHONPATH": path.format(ROOT)}
        for words in (["up", "../mine.yaml"], ["status"], ["logs", "-n", "1"], ["doctor", "../mine.yaml"], ["--help"]):
            done = subprocess.run(
                [sys.executable, *how, *words], cwd=here, env=env, capture_output=True, text=True, timeout=90
            )
            assert (done.returncode, "Traceback" in done.stderr) == (0, False), (words, done.stderr)
        before_dynkv_is_there = AT_THE_START if path != "{}" else []
        for note in notes:
            fallen = note.read_text().splitlines() if note.exists() else []
            assert not [line for line in fallen if line.split()[0] not in before_dynkv_is_there]
            assert not [line for line in fallen if "dynkv.daemon" in line]
        assert environ(dynkv.supervisor())["PYTHONPATH"] == str(ROOT)
        assert environ(unit_of(dynkv))["PYTHONPATH"] == str(ROOT)

    def test_the_stacks_interpreter_neither(self, dynkv: Command) -> None:
        """It is asked for its packages, and makes the tiny model."""
        other = dynkv.directory / "python"
        other.symlink_to(sys.executable)
        here = dynkv.directory / "here"
        here.mkdir()
        note = where_others_put_files(here)
        (here / "importlib").mkdir()
        (here / "importlib" / "metadata.py").write_text("raise RuntimeError")
        done = subprocess.run(
            [sys.executable, "-m", "dynkv", "plan", "agg", "--engine", "mocker", "--set", f"python={other}", "--json"],
            cwd=here,
            env={**dynkv.env, "PYTHONPATH": f":{ROOT}", "PYTHONHOME": ""},
            capture_output=True,
            text=True,
        )
        assert done.returncode in (0, 4), done.stderr
        assert "does not work as a Python interpreter" not in done.stderr
        fallen = note.read_text().splitlines() if note.exists() else []
        assert not [line for line in fallen if line.split()[0] not in AT_THE_START]

    def test_a_checkout_runs_from_within(self, dynkv: Command) -> None:
        env = {name: value for name, value in dynkv.env.items() if name != "PYTHONPATH"}
        done = started(dynkv, cwd=ROOT, env=env)
        assert done.returncode == 0, done.stderr
        assert str(ROOT) in environ(dynkv.supervisor()).get("PYTHONPATH", str(ROOT)).split(":")

    def test_a_checkout_by_a_relative_path(self, dynkv: Command) -> None:
        done = started(dynkv, cwd=ROOT.parent, env={**dynkv.env, "PYTHONPATH": ROOT.name})
        assert done.returncode == 0, done.stderr
        assert environ(dynkv.supervisor())["PYTHONPATH"] == str(ROOT)

    def test_search_paths_of_programs_and_libraries_are_absolute_too(self, dynkv: Command) -> None:
        given = {"PATH": f".::{os.environ['PATH']}:bin", "LD_LIBRARY_PATH": ":/opt/lib:lib;$ORIGIN/lib"}
        assert started(dynkv, env={**dynkv.env, **given}).returncode == 0
        for pid in (dynkv.supervisor(), unit_of(dynkv)):
            assert environ(pid)["PATH"] == os.environ["PATH"]
            assert environ(pid)["LD_LIBRARY_PATH"] == "/opt/lib:$ORIGIN/lib"


class TestPythonsOwnVariables:
    @pytest.mark.parametrize(
        "given",
        [
            {"PYTHONINSPECT": "1"},
            {"PYTHONOPTIMIZE": "2"},
            {"PYTHONWARNINGS": "error"},
            {"PYTHONHOME": sys.base_prefix},
            {
                "PYTHONHOME": "",
                "PYTHONSAFEPATH": "1",
                "PYTHONSTARTUP": "/nowhere/startup.py",
                "PYTHONDONTWRITEBYTECODE": "1",
                "PYTHONNOUSERSITE": "1",
                "PYTHONPROFILEIMPORTTIME": "1",
                "PYTHONUSERBASE": ".",
                "PYTHONPYCACHEPREFIX": "cache",
                "PYTHONASYNCIODEBUG": "1",
                "PYTHONDEVMODE": "1",
                "PYTHONHASHSEED": "7",
                "PYTHONIOENCODING": "ascii",
            },
        ],
        ids=lambda given: next(iter(given)),
    )
    def test_break_nothing(self, dynkv: Command, given: dict[str, str]) -> None:
        site = next(path for path in sys.path if path.endswith("site-packages"))
        # with PYTHONHOME Python does not look for a virtual environment
        env = {**dynkv.env, "PYTHONPATH": f"{ROOT}:{site}", **given}
        done = started(dynkv, env=env, stdin=subprocess.DEVNULL)
        assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
        argv = [sys.executable, "-m", "dynkv", "up", "--help"]
        helped = subprocess.run(
            argv, env=env, cwd=dynkv.directory, input="raise SystemExit(3)", capture_output=True, text=True
        )
        assert helped.returncode == 0
        assert "Start a deployment and wait until it answers requests" in helped.stdout
        own = environ(dynkv.supervisor())
        assert {name for name in given if own.get(name)} == {name for name in given if name in KEPT and given[name]}
        assert dynkv.place().supervisor_log.read_text() == ""
        assert not list(dynkv.directory.glob("**/cache"))
