"""Names of a model for clients, valid and invalid."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from refusals import refuse

from dynkv.profile.load import load, parse_set
from dynkv.profile.names import split, unsplit


@pytest.mark.parametrize(
    ("written", "names"),
    [
        ("chat", ("chat",)),
        ("[chat, chat-2]", ("chat", "chat-2")),
        ("[chat]", ("chat",)),
        ("org/name", ("org/name",)),
        ("/models/llama", ("/models/llama",)),
        ("50%25", ("50%25",)),
        ("ünï", ("ünï",)),
        ("'a?b#c'", ("a?b#c",)),
        ("~", ()),
    ],
)
def test_names(written: str, names: tuple[str, ...]) -> None:
    """Each of these was served by ai-dynamo 1.6.1, and its readiness was recognised."""
    assert load("agg", [parse_set(f"model.served_name={written}")]).profile.model.names == names


@pytest.mark.parametrize(
    ("written", "what", "hint"),
    [
        ("'a, b'", "the workers take 'a, b' for 2 names", "write a-b for one name, or [a, b] for 2"),
        ("my model", "the workers take 'my model' for 2 names", "write my-model for one name, or [my, model] for 2"),
        ('"a\\tb"', "for 2 names", "a-b"),
        ('"a\\u00a0b"', "for 2 names", "a-b"),
        ("' a'", "the workers take ' a' without the characters around it", "write a"),
        ("''", "a model's name is empty", "leave model.served_name out"),
        ("','", "a model's name is empty", "leave model.served_name out"),
        ("[]", "should have at least 1 item", ""),
        ("[a, '']", "a model's name is empty", "write a name"),
        ("[a, 'b c']", "the workers take 'b c' for 2 names", "[b, c]"),
        ("[a, a]", "a occurs twice", "remove one"),
        ("-x", "'-x' begins with a dash", "write x"),
        ("'--'", "'--' begins with a dash", "write a name"),
        ('"a\\u200bb"', "contains invisible characters", "clients can type"),
        (f"'{'n' * 201}'", "a model's name has 201 bytes", "at most 200"),
        ("7", "should be a valid string, not 7", "put it in quotes"),
        ("[7]", "should be a valid string, not 7", "put it in quotes"),
        ("{a: b}", "should be a valid string, not a mapping", "put it in quotes"),
    ],
)
def test_what_is_no_name(tmp_path: Path, written: str, what: str, hint: str) -> None:
    error = refuse(tmp_path, f"model:\n  served_name: {written}\n")
    assert what in error.what
    assert hint in error.hint
    assert error.where.startswith(f"{tmp_path}/mine.yaml:2:")


@given(st.text(max_size=30))
def test_what_is_put_together_is_not_split(text: str) -> None:
    made = unsplit(text)
    assert split(made) == ([made] if made else [])
    assert not made.startswith("-")
