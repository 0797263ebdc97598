"""Prometheus' text format from units, valid and invalid."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynkv.probes.finite import quotient, sum_of_known
from dynkv.probes.text import number, read, samples, total


@pytest.mark.parametrize(
    ("line", "name", "labels", "value"),
    [
        ("x 3", "x", {}, 3),
        ("x{} 3", "x", {}, 3),
        ('x{a="b"} 3', "x", {"a": "b"}, 3),
        ('x{a="b",} 3', "x", {"a": "b"}, 3),
        ('x{b="1 } 2",a="{}"} 3', "x", {"b": "1 } 2", "a": "{}"}, 3),
        (r'x{a="\"\\\n\t"} 3', "x", {"a": '"\\\n\\t'}, 3),
        ('x{a="\u2028\x0b\x85"} 3', "x", {"a": "\u2028\x0b\x85"}, 3),
        ('  x \t{ a = "b" , c="d" }3', "x", {"a": "b", "c": "d"}, 3),
        ("vllm:prompt_tokens_total 1.5e2", "vllm:prompt_tokens_total", {}, 150),
        ("x -.5", "x", {}, -0.5),
        ("x +Inf", "x", {}, math.inf),
        ("x -inf", "x", {}, -math.inf),
        ("x 1e999", "x", {}, math.inf),
        ("x 3 1700000000", "x", {}, 3),
        ("x 3 -5.25", "x", {}, 3),
        ('x_bucket{le="1"} 3 # {trace_id="a"} 0.5 1700000000', "x_bucket", {"le": "1"}, 3),
        ("x 3\r", "x", {}, 3),
    ],
)
def test_a_sample(line: str, name: str, labels: dict[str, str], value: float) -> None:
    for text in (line, f"{line}\n", f"# TYPE x gauge\n\n{line}\nnonsense\n"):
        assert [(it.name, it.labels, it.value) for it in samples(text)] == [(name, labels, value)]


@pytest.mark.parametrize(
    "line",
    [
        "",
        "x",
        "x ",
        "x foo",
        "x3",
        "x+1",
        "x 1_000",
        "x 0x10",
        "x \N{ARABIC-INDIC DIGIT ONE}",
        "x \N{LATIN SMALL LETTER DOTLESS I}nf",
        "x 3 foo",
        "x 3 4 5",
        "x 3#",
        "3 3",
        "ü 3",
        'x{a="b',
        'x{a="b"',
        'x{a="b" 3',
        'x{a="b\\"} 3',
        'x{a="b"}} 3',
        "x{a=b} 3",
        "x{a} 3",
        "x{,} 3",
        'x{a="1",a="2"} 3',
        'x{a="1" b="2"} 3',
        'x{ü="b"} 3',
        "# x 3",
        "<!doctype html><html><body>x 3</body></html>",
        "\x00\x01\x02",
        "x " + "1" * 5000,
    ],
)
def test_what_is_no_sample_is_passed_over(line: str) -> None:
    assert list(samples(line)) == []
    assert read(f"{line}\nx 1\n") == {"x": {frozenset(): 1}}


M = 1024**2


@pytest.mark.parametrize(
    "text",
    [
        "x" * 4 * M,
        "x " + "1" * 4 * M + "z",
        "x" + " " * 4 * M + "z",
        "x 1 " + "1" * 4 * M + "z",
        'x{a="' + "b" * 4 * M,
        'x{a="' + "\\\\" * 2 * M,
        'x{a="b",' + 'a="b",' * (M // 2),
        "x{" * 2 * M,
    ],
    ids="name value blanks timestamp open-label escapes same-label braces".split(),
)
def test_one_line_of_megabytes_takes_no_longer_than_its_length(text: str) -> None:
    """With one more pass for each character, this would take hours."""
    assert read(text) == {}


def test_a_series_that_is_there_twice_counts_once_and_what_is_not_finite_not_at_all() -> None:
    text = 'x{a="1",b="2"} 3\nx{b="2",a="1"} 4\nx NaN\ny NaN\ny{a="1"} 2\nz +Inf\n'
    figures = read(text)
    assert figures == {"x": {frozenset({("a", "1"), ("b", "2")}): 4}, "y": {frozenset({("a", "1")}): 2}}
    assert [total(figures, name) for name in "xyz"] == [4, 2, None]


METRICS = """\
# HELP vllm:prompt_tokens_total Prompt tokens.
# TYPE vllm:prompt_tokens_total counter
vllm:prompt_tokens_total{engine="0",model_name="org/tiny"} 12.0
vllm:prompt_tokens_total{engine="1",model_name="org/tiny"} 1.5e2
vllm:prompt_tokens_total_created{engine="0"} 1.7e9
up 1
"""


@pytest.mark.parametrize(
    ("name", "value"),
    [("vllm:prompt_tokens_total", 162), ("up", 1), ("vllm:prompt_tokens", None), ("vllm.prompt_tokens_total", None)],
)
def test_a_total_is_over_all_labels(name: str, value: float | None) -> None:
    assert total(read(METRICS), name) == value
    assert total(read(METRICS, {name}), name) == value
    assert total(read(""), name) is None


def test_of_some_names_alone() -> None:
    assert read(METRICS, {"up", "down"}) == {"up": {frozenset(): 1}}


# --- whatever comes ---

LINES = st.lists(
    st.sampled_from(
        ["x", "{", "}", 'a="b"', ",", '"', "\\", "=", " ", "\t", "3", ".", "-", "e9", "NaN", "Inf", "#", "\r"]
    )
    | st.text(max_size=3),
    max_size=12,
).map("".join)
TEXTS = st.lists(LINES, max_size=5).map("\n".join)


@given(st.text() | TEXTS | st.binary().map(lambda it: it.decode(errors="replace")))
def test_no_text_makes_it_raise_and_all_that_is_read_is_finite(text: str) -> None:
    figures = read(text)
    assert all(math.isfinite(value) for series in figures.values() for value in series.values())
    for name in figures:
        found = total(figures, name)
        assert found is None or math.isfinite(found)
    assert {it.name for it in samples(text, {"x"})} <= {"x"}


@given(st.floats())
def test_every_number_is_read_as_it_was_written(value: float) -> None:
    assert number(f"{value}") == pytest.approx(value, rel=0, abs=0, nan_ok=True)


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (lambda: sum_of_known([1, None, 2.5]), 3.5),
        (lambda: sum_of_known([]), None),
        (lambda: sum_of_known([None]), None),
        (lambda: sum_of_known([1e308, 1e308]), None),
        (lambda: quotient(1, 4), 0.25),
        (lambda: quotient(0, 4), 0),
        (lambda: quotient(1, 0), None),
        (lambda: quotient(None, 1), None),
        (lambda: quotient(1, None), None),
        (lambda: quotient(1e308, 1e-308), None),
    ],
)
def test_what_is_not_finite_is_not_known(made: Callable[[], float | None], expected: float | None) -> None:
    assert made() == expected
