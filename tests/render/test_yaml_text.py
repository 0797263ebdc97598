"""YAML whose meaning is the same for readers of YAML 1.1, which most programs use."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dynkv.render.yaml_text import as_yaml

yaml = pytest.importorskip("yaml", reason="requirements/dev.txt has it")
TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"], include_characters="\n\t", exclude_characters="\ufeff"))
SCALARS = TEXTS | st.integers(-(2**63), 2**63) | st.booleans() | st.none()


@given(st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner), max_leaves=10))
@example("on")
@example("1e3")
@example("12:30:45")
@example("2026-01-01T00:00:00Z")
@example("0o17")
@example("010")
@example("<<")
@example("=")
@example("a: b # c")
@example("line\n  another\n\n")
@example("\n leading")
@example("trailing \n")
@example("x" * 500 + " " + "y" * 500)
@example("\x85\u2028")
def test_whatever_is_written_is_read_again(value: Any) -> None:
    assert yaml.safe_load(as_yaml({"key": value, "list": [value]})) == {"key": value, "list": [value]}


def test_a_head_is_a_comment() -> None:
    assert as_yaml({"a": 1}, ["two", "", "lines"]) == "# two\n#\n# lines\na: 1\n"


def test_an_argument_stays_on_one_line() -> None:
    words = " ".join(["word"] * 200)
    assert as_yaml({"a": words}) == f"a: {words}\n"
