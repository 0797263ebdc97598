"""A command line that is understood without typer means the same as with it."""

from __future__ import annotations

import inspect
import random
from typing import Any

import pytest
from typer.main import get_command

from dynkv.cli import commands, up
from dynkv.cli.plain import FLAG, SECONDS, TEXT, TEXTS, UP, plainly
from dynkv.errors import DynkvError

ODD = ["", "-", "--", "-x", "--n", "--name=x", "a=b", "agg", "7", "-1", "1e3", "inf", "nan", "1_0", " ", "--help", "é"]
DEFAULTS = {name: it.default for name, it in inspect.signature(up.up).parameters.items()}


@pytest.fixture
def understood(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The parameters of each call of `up` by typer."""
    found: list[dict[str, Any]] = []
    monkeypatch.setattr(up, "bring_up", lambda *given: found.append(dict(zip(DEFAULTS, given, strict=True))))
    return found


def lines() -> list[list[str]]:
    """Random command lines of up to five words, the same in each run."""
    chance = random.Random(5)
    vocabulary = [*UP, *ODD, "agg", "mine.yaml"]
    short = [[one] for one in vocabulary] + [[one, other] for one in vocabulary for other in vocabulary]
    plain = [["agg", option, *chance.choices(ODD, k=chance.randrange(3))] for option in UP for _ in range(20)]
    return short + plain + [chance.choices(vocabulary, k=chance.randrange(3, 6)) for _ in range(500)]


def test_plain_lines_mean_the_same_to_typer(understood: list[dict[str, Any]]) -> None:
    plain = [(words, given) for words in lines() if (given := plainly(words, "profile", UP)) is not None]
    for words, given in plain:
        assert commands.run(["up", *words]) == 0, words
        assert {**DEFAULTS, **given} == {**understood.pop(), **({} if "sets" in given else {"sets": None})}, words
    assert len(plain) > 100
    assert {parameter for _, given in plain for parameter in given} == {*DEFAULTS}


def test_every_option_is_known() -> None:
    command = get_command(commands.command_line(["up"])).commands["up"]  # type: ignore[attr-defined]
    kinds: dict[str, tuple[str, str]] = {}
    for it in command.params:
        if it.param_type_name == "option" and it.name != "help":
            kind = FLAG if it.is_flag else TEXTS if it.multiple else SECONDS if it.name == "timeout" else TEXT
            kinds |= dict.fromkeys([*it.opts, *it.secondary_opts], (it.name, kind))
    assert kinds == UP


@pytest.mark.parametrize(
    "words",
    [
        ["up"],
        ["up", "--nmae", "x", "agg"],
        ["up", "agg", "--timeout", "soon"],
        ["up", "agg", "--timeout", "-1"],
        ["up", "agg", "other"],
        ["up", "agg", "--name"],
    ],
)
def test_a_mistake_is_left_to_typer(words: list[str], understood: list[dict[str, Any]]) -> None:
    assert plainly(words[1:], "profile", UP) is None
    with pytest.raises(DynkvError):
        commands.run(words)
    assert not understood
