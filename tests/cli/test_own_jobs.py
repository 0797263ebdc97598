"""Jobs on the command line: custom units that run once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from command import UNITS, Command, command_in


@pytest.fixture
def dynkv(tmp_path: Path) -> Iterator[Command]:
    with command_in(tmp_path) as command:
        yield command


def script(text: str) -> str:
    return f"argv: [sh, -c, '{text}']"


def states(dynkv: Command) -> dict[str, str]:
    return {unit["name"]: unit["state"] for unit in json.loads(dynkv("status", "--json").stdout)["units"]}


def test_one_runs_once_until_it_is_asked_for_again_or_the_deployment_comes_anew(dynkv: Command) -> None:
    told = dynkv.directory / "told"
    profile = dynkv.profile(
        f"{UNITS}  - {{name: web, argv: [sleep, '1000'], depends_on: {{migrate: {{condition: completed}}}}}}\n"
        f"  - {{name: migrate, kind: job, {script(f'echo x >> {told}')}}}\n"
    )
    assert dynkv("up", profile).returncode == 0
    assert states(dynkv) == {"web": "ready", "migrate": "completed"}
    assert json.loads(dynkv("status", "--json").stdout)["state"] == "ready"
    dynkv.kill_supervisor()
    assert states(dynkv) == {"web": "unready", "migrate": "completed"}
    assert dynkv("up", profile).returncode == 0
    assert told.read_text() == "x\n"
    for verb, runs in (("restart", 2), ("start", 3)):
        done = dynkv(verb, "--wait", "migrate")
        assert "migrate: completed" in done.stdout
        assert told.read_text() == "x\n" * runs
    web = dynkv.pids()["web"]
    changed = (dynkv.directory / profile).read_text().replace("echo x", "echo y")
    assert dynkv("up", dynkv.profile(changed)).returncode == 0
    assert (told.read_text(), dynkv.pids()["web"]) == ("x\n" * 3 + "y\n", web)
    assert dynkv("stop", "--wait", "migrate").returncode == 0
    assert states(dynkv)["migrate"] == "completed"
    assert dynkv("down").returncode == 0
    assert dynkv("up", profile).returncode == 0
    assert told.read_text() == "x\n" * 3 + "y\n" * 2


def test_up_tells_the_last_words_of_one_that_failed_and_what_waits_for_it_never_began(dynkv: Command) -> None:
    told = dynkv.directory / "told"
    profile = dynkv.profile(
        "restart: {max_restarts: 1, backoff_initial_s: 0.01}\n"
        f"{UNITS}  - {{name: migrate, kind: job, {script(f'echo x >> {told}; echo no database there; exit 3')}}}\n"
        f"  - {{name: web, {script(f'echo web >> {told}; sleep 1000')}, depends_on: [migrate]}}\n"
    )
    done = dynkv("up", profile)
    assert done.returncode == 1
    assert "migrate" in done.stderr
    assert "no database there" in done.stderr
    assert told.read_text() == "x\nx\n"


def test_up_tells_of_a_program_that_goes_into_the_background_how_it_stays(dynkv: Command) -> None:
    done = dynkv("up", dynkv.profile(f"{UNITS}  - {{name: cache, {script('sleep 1000 &')}}}\n"))
    assert done.returncode == 1
    assert "cache died during start: it put itself into the background (exited with code 0)" in done.stderr
    assert "daemonize no" in done.stderr
