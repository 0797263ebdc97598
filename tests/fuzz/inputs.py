"""Unexpected input: strategies that the fuzz tests share, the number of examples, and what one example may cost.

In CI the examples are few and always the same, so that it fails only because of a change. By hand, `make fuzz` tries
new ones each time, DYNKV_FUZZ_EXAMPLES in each test, and remembers what failed.
"""

from __future__ import annotations

import json
import os
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.database import DirectoryBasedExampleDatabase

BY_HAND = int(os.environ.get("DYNKV_FUZZ_EXAMPLES", "0"))
EXAMPLES = BY_HAND or 60
SECONDS_MAX, BYTES_MAX = 2.0, 200 * 1024**2
PLAIN_WORK_S = 0.11
"""Seconds for a million numbers as text, on a machine on which a log of 200,000 lines is read in 0.7 s."""
fuzz = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=not BY_HAND,
    database=DirectoryBasedExampleDatabase(".hypothesis/fuzz") if BY_HAND else None,
    suppress_health_check=list(HealthCheck),
    phases=[phase for phase in Phase if phase is not Phase.explain],
    print_blob=True,
)
slow = settings(fuzz, max_examples=max(10, EXAMPLES // 10))
"""For tests whose examples take a tenth of a second or more."""

DIGITS = "9" * 5000
"""More digits than Python reads as a number."""
NUMBERS = (
    st.sampled_from(
        "0 -1 1 1e10 1e-308 1e-9 1e300 1e400 -0.0 nan inf .inf .nan 0x10 0o17 010 1_000 1:30 ² ٣ 1e".split()
    )
    | st.just(DIGITS)
    | st.integers().map(str)
    | st.floats().map(repr)
)
_SHORT = (
    r"../x /dev/zero ~nobody {} [] << *a &a !t !!python/object:x on null [/bold] :smile: - -- %s ${X} $(x) ' \" \ a=b"
)
_DATES_AND_HOSTS = "2026-11-24 127.0.0.1 :: x:y ../../etc/passwd http://u:p@h"
_ODD = ["", " ", "\0", "\x1b[31m", "\x9b31m", "\ud800", "\udcff", "\ufeff", "a\nb", "%YAML 1.1", "a" * 300, "é" * 200]
ODD_TEXTS = st.sampled_from([*_SHORT.split(), *_DATES_AND_HOSTS.split(), *_ODD])
TEXTS = ODD_TEXTS | NUMBERS | st.text(max_size=30)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | TEXTS
JSON: st.SearchStrategy[Any] = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4), max_leaves=12
)
BYTES = st.binary(max_size=200) | TEXTS.map(lambda text: text.encode("utf-8", "surrogatepass"))


def soup(pieces: list[bytes], *, max_size: int = 14) -> st.SearchStrategy[bytes]:
    """Valid pieces in any order, with anything between them."""
    return st.lists(st.sampled_from(pieces) | BYTES, max_size=max_size).map(b"".join)


@st.composite
def damaged(draw: st.DrawFn, whole: bytes) -> bytes:
    """Valid content, except in one place, where something is lost, added or replaced."""
    start = draw(st.integers(0, len(whole)))
    end = draw(st.integers(start, min(len(whole), start + 40)))
    return whole[:start] + draw(BYTES) + whole[end:]


@st.composite
def with_another_value(draw: st.DrawFn, document: Any) -> Any:
    """A JSON document in which one value, at any depth, is replaced or missing."""
    if isinstance(document, dict) and document and draw(st.integers(0, 5)):
        key = draw(st.sampled_from(sorted(document)))
        rest = {name: value for name, value in document.items() if name != key}
        return {**rest, key: draw(with_another_value(document[key]))} if draw(st.integers(0, 5)) else rest
    if isinstance(document, list) and document and draw(st.integers(0, 5)):
        at = draw(st.integers(0, len(document) - 1))
        return [*document[:at], draw(with_another_value(document[at])), *document[at + 1 :]]
    return draw(JSON)


def as_json(document: Any) -> bytes:
    """The document as Python writes it, with NaN and lone surrogates if there are any."""
    return json.dumps(document).encode()


@contextmanager
def bounded() -> Iterator[None]:
    """Fail if the work inside takes longer, or more memory, than any outside input may cost.

    The time limit follows the machine's current speed, which other work may halve from one minute to the next.
    """
    before = _peak_bytes()
    began = time.process_time()
    yield
    took_s = time.process_time() - began
    assert took_s < SECONDS_MAX or took_s < SECONDS_MAX * _slowness()
    assert _peak_bytes() - before < BYTES_MAX


def _slowness() -> float:
    """The time for plain work at this moment, relative to the machine for which SECONDS_MAX was chosen."""
    began = time.process_time()
    sum(len(str(number)) for number in range(1_000_000))
    return (time.process_time() - began) / PLAIN_WORK_S


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
