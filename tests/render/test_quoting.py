"""bash reads any quoted text back unchanged."""

from __future__ import annotations

import os
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynkv.render.quoting import comment, quoted

NO_NUL = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))


def read_back(words: list[str]) -> list[str]:
    script = "printf '%s\\0' " + " ".join(map(quoted, words))
    done = subprocess.run(["bash", "-c", script], capture_output=True, check=True, env={"LC_ALL": "C"})
    return os.fsdecode(done.stdout).split("\0")[:-1]


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("plain-1.2/x", "plain-1.2/x"),
        ("", "''"),
        ("a b", "'a b'"),
        ("done", "'done'"),
        ("it's", r"$'it\'s'"),
        ("$HOME", "$'$HOME'"),
        ("a\nb", r"$'a\nb'"),
        ("é", r"$'\xc3\xa9'"),
        ("\udce9", r"$'\xe9'"),
    ],
)
def test_a_word(text: str, word: str) -> None:
    assert quoted(text) == word
    assert read_back([text]) == [text]


@given(st.lists(NO_NUL, min_size=1, max_size=20))
def test_any_words(words: list[str]) -> None:
    assert read_back(words) == words
    assert all(quoted(word).isascii() and quoted(word).isprintable() for word in words)


def test_a_comment_stays_one_line() -> None:
    assert comment("a\nb\x1b[0mé") == "a?b?[0m?"
