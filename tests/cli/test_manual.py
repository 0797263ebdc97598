"""The help of each verb: dynkv understands every example in it."""

from __future__ import annotations

import shlex
from typing import Any

import pytest
from typer.main import get_command

from dynkv.cli.commands import command_line
from dynkv.cli.manual import EXAMPLES
from dynkv.errors import EXIT_CODES, DynkvError

COMMAND: Any = get_command(command_line([]))
GROUPS = ("export", "profiles", "stack")
VERBS = [*COMMAND.commands, *(f"{group} {name}" for group in GROUPS for name in COMMAND.commands[group].commands)]


def test_every_verb_has_examples() -> None:
    assert set(EXAMPLES) == set(VERBS)
    assert all(EXAMPLES.values())


def leaf(command: Any, words: list[str]) -> Any:
    """The context in which the command would run; raises the error of a wrong command line."""
    context = command.make_context(command.name, words)
    if rest := context._protected_args:
        return leaf(command.commands[rest[0]], [*rest[1:], *context.args])
    return context


@pytest.mark.parametrize(("verb", "typed"), [(verb, typed) for verb, all_ in EXAMPLES.items() for typed, _ in all_])
def test_an_example_is_a_command_line(verb: str, typed: str) -> None:
    program, *words = shlex.split(typed)
    assert program == "dynkv"
    assert words[: len(verb.split())] == verb.split()
    assert leaf(COMMAND, words).command.name == verb.split()[-1]


@pytest.mark.parametrize("verb", VERBS)
def test_the_help_shows_them(verb: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    assert COMMAND.main([*verb.split(), "--help"], prog_name="dynkv", standalone_mode=False) == 0
    shown = capsys.readouterr().out
    assert f"Usage: dynkv {verb} " in shown
    assert all(typed in shown and does in shown for typed, does in EXAMPLES[verb])
    assert "5 timed out" in shown


def test_every_exit_code_has_a_meaning() -> None:
    kinds = [DynkvError]
    for kind in kinds:
        kinds += kind.__subclasses__()
    assert {kind.exit_code for kind in kinds} | {0, 130} == set(EXIT_CODES)
