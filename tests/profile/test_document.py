"""YAML as plain data: the result, what is refused and where, and how little the worst input costs."""

from __future__ import annotations

import subprocess
import sys
from itertools import pairwise

import pytest

from dynkv.profile.document import NODES_MAX, Unfit, parse


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("a: [1, -2, 0x1F, 0o17, 0b11, 1_000]", {"a": [1, -2, 31, 15, 3, 1000]}),
        ("a: [010, 1:30, 1.5.3, 12e, -, 0o8]", {"a": [10, "1:30", "1.5.3", "12e", "-", "0o8"]}),
        ("a: [1.5, 1e3, .5, -1.e-2]", {"a": [1.5, 1000.0, 0.5, -0.01]}),
        ("a: [true, False, TRUE, yes, no, on, off, y]", {"a": [True, False, True, "yes", "no", "on", "off", "y"]}),
        ("a: [~, null, , '']", None),
        ("a: [~, null, NULL, '']", {"a": [None, None, None, ""]}),
        ("a: 2026-11-24\nb: 2026-11-24T10:00:00.5Z", {"a": "2026-11-24", "b": "2026-11-24T10:00:00.5Z"}),
        ("1: a\ntrue: b\n2026-11-24: c\n'': d", {"1": "a", "true": "b", "2026-11-24": "c", "": "d"}),
        ("a: !!str 1\nb: !!int '2'\nc: !!float 3\nd: !!bool 'true'", {"a": "1", "b": 2, "c": 3.0, "d": True}),
        ("a: &x {b: 1}\nc: *x\nd: {<<: *x, e: 2}", {"a": {"b": 1}, "c": {"b": 1}, "d": {"b": 1, "e": 2}}),
        ("[&x {b: 1, c: 1}, &y {b: 2}, {c: 3, <<: [*x, *y]}]", [{"b": 1, "c": 1}, {"b": 2}, {"b": 1, "c": 3}]),
        ("a: &x 1\nb: &x 2\nc: *x", {"a": 1, "b": 2, "c": 2}),
        ("a: <<\nb: =\n'<<': c", {"a": "<<", "b": "=", "<<": "c"}),
        ("\ufeffa: 1", {"a": 1}),
        ("a: 1\r\nb: 2\r", {"a": 1, "b": 2}),
        ("%YAML 1.2\n---\na: no\n...\n", {"a": "no"}),
        ("", None),
    ],
)  # fmt: skip
def test_what_comes_of_it(text: str, data: object) -> None:
    if data is None and text:
        with pytest.raises(Unfit):
            parse(text)
        return
    found = parse(text).data
    assert (found, repr(found)) == (data, repr(data)), "true is no 1"


@pytest.mark.parametrize(
    ("text", "what", "place"),
    [
        ("a: -_", "'-_' is not a number", (0, 3)),
        ("a: 0x_", "'0x_' is not a number", (0, 3)),
        ("a: !!int b", "'b' is not a number", (0, 3)),
        ("a: .inf", "'.inf' is too large a number", (0, 3)),
        ("a: .NaN", "'.NaN' is too large a number", (0, 3)),
        ("a: 1e400", "'1e400' is too large a number", (0, 3)),
        ("a: 9223372036854775808", "'9223372036854775808' is too large a number", (0, 3)),
        (f"a: {'9' * 5000}", "is not a number", (0, 3)),
        (f"a: 0x{'f' * 5000}", "is too large a number", (0, 3)),
        ('a:\n- "b\\0"', "a string cannot contain NUL or half a character", (1, 2)),
        ('"\\uDC80": b', "a string cannot contain NUL or half a character", (0, 0)),
        ("a: !!python/object:os.system b", "a profile cannot use the tag", (0, 3)),
        ("a: !!python/object/apply:os.system [b]", "a profile cannot use the tag", (0, 3)),
        ("a: !mine {}", "a profile cannot use the tag '!mine'", (0, 3)),
        ("!!set {a}", "a profile cannot use the tag '!!set'", (0, 0)),
        ("!!omap [a: 1]", "a profile cannot use the tag '!!omap'", (0, 0)),
        ("a: !!binary aGk=", "a profile cannot use the tag '!!binary'", (0, 3)),
        ("!!bool 1: b", "a profile cannot use the tag '!!bool'", (0, 0)),
        ("[a]: b", "a key must be a string", (0, 0)),
        ("? {a: b}\n: c", "a key must be a string", (0, 2)),
        ("a: 1\nb: {c: 2, c: 3}", 'duplicate key "c"', (1, 10)),
        ("1: a\n'1': b", 'duplicate key "1"', (1, 0)),
        ("a: {<<: b}", "<< merges mappings, and this is not one", (0, 8)),
        ("a: &a\n  <<: *a", "a circle", (0, 3)),
        ("a: &a [*a]", "a circle", (0, 3)),
        ("a: &a {b: &b [*a, *b]}", "a circle", (0, 3)),
        ("a: *a", "not valid YAML: found undefined alias 'a'", (0, 3)),
        ("%YAML 1.1\n---\na: no", "a profile is YAML 1.2", (1, 0)),
        ("%YAML 9999999999\n---\na", "not valid YAML", (0, 16)),
        ("a: !<%ff> b", "", None),
        ("a: 1\n---\nb: 1", "not valid YAML: but found another document", (1, 0)),
        ("[" * 200, "nested deeper than 100 levels", (0, 100)),
    ],
)  # fmt: skip
def test_what_a_profile_cannot_hold(text: str, what: str, place: tuple[int, int] | None) -> None:
    with pytest.raises(Unfit) as refused:
        parse(text)
    assert what in refused.value.what
    assert refused.value.hint
    assert len(refused.value.what) < 300
    assert place is None or refused.value.place == place


def powers_of_nine(last: str) -> str:
    """Nine aliases of nine aliases, and so on, one level for each letter."""
    names = "abcdefghi"
    lines = [f"{name}: &{name} {last.format(before)}" for before, name in pairwise(names)]
    return "\n".join([f"a: &a {last.replace('*{0}', 'x')}" if "<<" not in last else "a: &a {x: 1}", *lines])


COSTLY = {
    "aliases": powers_of_nine("[" + ", ".join(["*{0}"] * 9) + "]"),
    "merges": powers_of_nine("{{<<: [" + ", ".join(["*{0}"] * 9) + "]}}"),
    "a long text, often": f"a: &a {'x' * 200_000}\nb: [{', '.join(['*a'] * 20_000)}]",
    "a wide mapping, merged often": f"a: &a {{{', '.join(f'k{it}: 1' for it in range(9000))}}}\n"
    f"b: {{<<: [{', '.join(['*a'] * 9000)}]}}",
    "values": "a: [" + "a," * 130_000 + "]",
    "open": "[" * 262_000,
    "keys": "".join(f"k{it}:\n" for it in range(40_000)),
    "comments": "#\n" * 131_000,
    "tags": "a: [" + "!a b," * 50_000 + "]",
    "a chain": "a0: &a0 []\n" + "".join(f"a{it}: &a{it} [*a{it - 1}]\n" for it in range(1, 9000)),
    "a chain of merges": "a0: &a0 {}\n" + "".join(f"a{it}: &a{it} {{<<: *a{it - 1}}}\n" for it in range(1, 6000)),
    "digits": "a: " + "9" * 262_000,
    "hex digits": "a: 0x" + "9" * 262_000,
    "a long key": "? " + "a" * 262_000,
    "one above the limit": "- \n" * (NODES_MAX + 1),
}
MEASURED = r"""
import re, sys, time
from dynkv.profile.document import NODES_MAX, Unfit, parse
def cpu_s(text):
    began = time.process_time()
    try:
        parse(text)
    except Unfit as unfit:
        assert len(unfit.what) < 300, unfit.what
    return time.process_time() - began
ratio = cpu_s(sys.stdin.read()) / cpu_s("- a\n" * (NODES_MAX - 2))
# of this program alone: ru_maxrss begins with what the process was before it ran it
print(ratio, int(re.search(r"VmHWM:\s+(\d+)", open("/proc/self/status").read())[1]) * 1024)
"""


@pytest.mark.parametrize("text", COSTLY.values(), ids=COSTLY)
def test_the_worst_costs_no_more_than_a_list_at_the_limit(text: str) -> None:
    done = subprocess.run([sys.executable, "-c", MEASURED], input=text, capture_output=True, text=True, check=True)
    ratio, peak_bytes = map(float, done.stdout.split())
    assert ratio < 2
    assert peak_bytes < 200 * 1024**2


def test_places_are_those_of_keys_and_items() -> None:
    assert parse("a:\n  b: [1,\n   2]\nc: &c {d: 3}\ne: {<<: *c}").places == {
        ("a",): (0, 0),
        ("a", "b"): (1, 2),
        ("a", "b", 0): (1, 6),
        ("a", "b", 1): (2, 3),
        ("c",): (3, 0),
        ("c", "d"): (3, 7),
        ("e",): (4, 0),
        ("e", "d"): (3, 7),
    }
