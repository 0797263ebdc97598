"""The parker itself, with a standby that has imported almost nothing."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from lots import is_gone, parking, until
from seen import own_memory_kb, seen

from dynkv.cli.by_parker import Taken
from dynkv.host.processes import read_process
from dynkv.park.lot import Stage

PASSER, HEEDER = (str(Path(__file__).with_name(name)) for name in ("passer.py", "heeder.py"))
WAITS = (sys.executable, "-c", "import time; time.sleep(60)")


def test_it_becomes_the_program_that_it_is_ordered_to(tmp_path: Path) -> None:
    with parking(tmp_path) as it:
        standby = it.parked().pid
        assert it.order(WAITS, tmp_path) == ""
        until(lambda: b"time.sleep" in Path(f"/proc/{it.process.pid}/cmdline").read_bytes())
        assert not is_gone(standby)
        assert (lot := it.where.read()) is not None
        assert lot.deployment == "mine"


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (("/no/such/python",), "/no/such/python: No such file or directory"),
        ((sys.executable, "x" * 200_000), f"{sys.executable}: Argument list too long"),
    ],
    ids=["gone", "too long"],
)
def test_what_it_cannot_become_is_told_at_once(tmp_path: Path, argv: tuple[str, ...], told: str) -> None:
    with parking(tmp_path) as it:
        standby = it.parked().pid
        began = time.monotonic()
        assert it.order(argv, tmp_path) == f"the parker cannot become a supervisor: {told}"
        assert time.monotonic() < began + 2.0
        assert it.over() == f"the parker cannot become a supervisor: {told}"
        assert is_gone(standby)
        assert (tmp_path / "log").read_bytes() == b""
        assert told in it.where.log.read_text()


def test_a_status_of_nothing_says_what_takes_memory(tmp_path: Path) -> None:
    def said() -> tuple[int, str]:
        env = {**os.environ, "DYNKV_HOME": str(tmp_path), "PYTHONPATH": ":".join(filter(None, sys.path))}
        run = subprocess.run([sys.executable, "-P", "-m", "dynkv", "status"], env=env, capture_output=True, text=True)
        return run.returncode, run.stderr

    with parking(tmp_path) as it:
        it.parked()
        code, text = said()
        assert code == 3
        assert text.splitlines()[1] == "  imports are parked, 0.0 GB: `dynkv park` shows them"
    assert "parked" not in said()[1]


def test_a_terminal_that_closes_ends_nothing(tmp_path: Path) -> None:
    with parking(tmp_path) as it:
        standby = it.parked().pid
        os.kill(it.process.pid, signal.SIGHUP)
        os.kill(it.process.pid, signal.SIGTERM)  # comes second, and is the one that ends it
        assert it.process.wait(20) == -signal.SIGTERM
        until(lambda: is_gone(standby))


def test_nothing_is_left_of_one_that_is_killed(tmp_path: Path) -> None:
    with parking(tmp_path) as it:
        standby = it.parked().pid
        it.process.kill()
        until(lambda: is_gone(standby))


def test_nothing_is_left_of_one_that_is_killed_while_it_imports(tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    (tmp_path / "endless.py").write_text(
        f"import pathlib, time\npathlib.Path({str(begun)!r}).touch()\ntime.sleep(60)\n"
    )
    with parking(tmp_path, "endless", path=tmp_path) as it:
        until(begun.exists)
        importing = until(lambda: lot.parked[0].pid if (lot := it.where.read()) else None)
        assert not is_gone(importing)
        it.process.kill()
        until(lambda: is_gone(importing), 5.0)


def test_a_parked_process_that_has_ended_is_not_told_as_parked(tmp_path: Path) -> None:
    with parking(tmp_path) as it:
        standby = it.parked().pid
        assert it.order(WAITS, tmp_path) == ""
        os.kill(standby, signal.SIGKILL)
        command = [sys.executable, "-m", "dynkv", "park", "--json"]
        told = json.loads(subprocess.check_output(command, env={**os.environ, "DYNKV_HOME": str(tmp_path)}))
        assert told["deployment"] == "mine"
        (found,) = told["parked"]
        assert (found["state"], found["pid"], found["rss_bytes"]) == ("missing", None, None)
        assert "has ended" in found["detail"]


def test_a_start_that_is_given_up_leaves_it_parked(tmp_path: Path) -> None:
    with parking(tmp_path) as it:
        standby = it.parked().pid
        process = read_process(it.process.pid)
        assert process is not None
        taken = Taken(process, it.where, "mine")
        assert it.order((sys.executable, "-P", HEEDER), tmp_path) == ""
        taken.kill()
        taken.wait()
        until(it.where.socket.exists)
        assert it.parked().pid == standby
        assert it.order(WAITS, tmp_path) == ""


def test_one_whose_directory_is_removed_ends(tmp_path: Path) -> None:
    """Nobody could end it otherwise; it does not touch what has been created there since."""
    with parking(tmp_path / "home") as first:
        standby = first.parked().pid
        shutil.rmtree(tmp_path / "home")
        with parking(tmp_path / "home") as second:
            second.parked()
            assert first.process.wait(20) == 0
            assert is_gone(standby)
            assert second.order(WAITS, tmp_path) == ""


def test_an_edited_module_ends_it_before_a_deployment_uses_it(tmp_path: Path) -> None:
    (package := tmp_path / "path" / "package").mkdir(parents=True)
    (package / "__init__.py").touch()
    (module := package / "deep.py").write_text("a = 1\n")
    with parking(tmp_path, "package.deep", path=tmp_path / "path") as it:
        standby = it.parked().pid
        module.write_text("a = 2\n")
        told = f"the stack's installation has changed: {module} has changed"
        assert it.order(WAITS, tmp_path) == told
        assert it.over() == told
        assert is_gone(standby)


def test_one_that_waits_for_memory_says_so(tmp_path: Path) -> None:
    with parking(tmp_path, memory_bytes=1 << 60) as it:
        waiting = until(lambda: lot.parked[0] if (lot := it.where.read()) else None)
        assert waiting.stage is Stage.WAITING
        assert "GB are free" in waiting.detail
        assert waiting.pid == 0


def test_nothing_of_a_supervisor_is_left_when_it_is_the_parker_again(tmp_path: Path) -> None:
    with parking(tmp_path) as it:
        standby, parker = it.parked().pid, it.process.pid
        before, standbys = seen(parker), (seen(standby), own_memory_kb(standby))
        began_kb = own_memory_kb(parker)
        for _ in range(3):
            assert it.order((sys.executable, "-P", PASSER), tmp_path) == ""
            until(lambda: (lot := it.where.read()) and not lot.deployment and it.where.socket.exists())
            until(lambda: seen(parker) == before, 5.0, lambda: f"{seen(parker)} is not {before}")
            assert (seen(standby), own_memory_kb(standby)) == standbys
            assert own_memory_kb(parker) < began_kb + 4096
        it.where.ask_to_stop()
        assert it.over() == "`dynkv park --stop` was requested"
