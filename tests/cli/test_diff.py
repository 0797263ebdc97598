"""What a profile would change in the running deployment."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from command import QUICK, UNITS, Command, command_in

CHANGED = UNITS + "  - {name: first, argv: [sleep, '1001']}\n  - {name: third, argv: [sleep, '1000']}\n"


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Command]:
    with command_in(tmp_path_factory.mktemp("diff")) as command:
        assert command("up", command.profile(QUICK)).returncode == 0
        yield command


def test_nothing_would_change(command: Command) -> None:
    done = command("diff", "mine.yaml")
    assert (done.returncode, done.stdout) == (0, "nothing would change\n"), done.stderr


def test_what_would_change_and_nothing_does(command: Command) -> None:
    before, changed = command.pids(), command.profile(CHANGED, "changed")
    done = command("diff", changed, "--name", "mine", "--json")
    assert json.loads(done.stdout) == {
        "supervisor": "keep",
        "units": [
            {"name": "first", "action": "restart", "reasons": ["arguments: 1000 → 1001"]},
            {"name": "third", "action": "start", "reasons": ["new in the profile"]},
            {"name": "second", "action": "stop", "reasons": ["no longer in the profile"]},
        ],
        "reasons": [],
        "losses": [],
    }
    assert "first: restart: arguments: 1000 → 1001\n" in command("diff", changed, "--name", "mine").stdout
    assert command.pids() == before


def test_a_dead_supervisor_would_be_replaced(command: Command) -> None:
    command.kill_supervisor()
    done = command("diff", "mine.yaml")
    assert "supervisor: replace" in done.stdout, done.stderr
    assert "first: keep\n" in done.stdout


@pytest.mark.parametrize("name", ["nobody", "down"])
def test_without_one_that_runs(command: Command, name: str) -> None:
    if name == "down":
        command("up", "mine.yaml", "--name", name)
        command("down", name)
    assert command("diff", "mine.yaml", "--name", name).returncode == 3
