"""Logs: whatever a program writes, its lines are read, shown, and searched for what ended it."""

from __future__ import annotations

import io
from contextlib import redirect_stdout
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from inputs import BYTES, NUMBERS, TEXTS, bounded, damaged, fuzz, slow, soup

from dynkv.children.child import Exit
from dynkv.children.lines import LineReader, newest, parts, raised, telling
from dynkv.children.output import tail
from dynkv.children.tracebacks import read_tracebacks
from dynkv.cli.commands import run
from dynkv.cli.since import moment
from dynkv.errors import DynkvError, UsageError
from dynkv.reclaim.registrations import registrations_in
from dynkv.supervisor.diagnosis import diagnose

LOGS = [path.read_bytes() for path in sorted((Path(__file__).parents[1] / "supervisor" / "logs").glob("*.log"))]
PIECES = [
    b"2026-01-31T12:00:00.123456Z  INFO dynamo: x\n",
    b'{"time":"2026-01-31T12:00:00Z","level":"ERROR","message":"a\\nb"}\n',
    b"[2026-01-31 12:00:00,123] LMCache WARNING: x\n",
    b"INFO 02-29 12:00:00 [loggers.py:320] x\n",
    b"(EngineCore pid=7) ERROR 01-31 12:00:00 [core.py:1] Traceback (most recent call last):\n",
    b"Traceback (most recent call last):\n",
    b'  File "x.py", line 3, in y\n',
    b"  + Exception Group Traceback (most recent call last):\n",
    b"  | ExceptionGroup: x (2 sub-exceptions)\n",
    b"  +-+---------------- 1 ----------------\n",
    b"    | ValueError: x\n",
    b"The above exception was the direct cause of the following exception:\n",
    b"During handling of the above exception, another exception occurred:\n",
    b"RuntimeError: x\n",
    b"[rank0]: x\n",
    b"adapter created with instance_id=7\n",
    b"0001-01-01T00:00:00+23:59 INFO x\n",
    b"9999-12-31T23:59:59-23:59 INFO x\n",
    b"2026-01-31T12:00:00+99:99 x\n",
    b"INFO 13-32 25:61:61 x\n",
    b"\x1b[31m",
    b"\x1b]0;",
    b"\n",
    b"\r",
    b" ",
    b"{",
    b"\xff",
    b"\x00",
    "\u0661".encode() * 4,
]
NOWS = [
    datetime(2024, 2, 29, tzinfo=UTC),
    datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=14))),
    datetime(2026, 12, 31, 23, 59, tzinfo=timezone(-timedelta(hours=12))),
]


@fuzz
@given(soup(PIECES, max_size=30) | st.sampled_from(LOGS).flatmap(damaged) | BYTES, st.sampled_from(NOWS))
@example(b"(" + b"a" * 100_000, NOWS[0])
@example(b"\x1b]" * 50_000, NOWS[0])
@example(b"\x1b[" + b"0" * 100_000, NOWS[0])
@example(b"a." * 50_000 + b"Error: x", NOWS[0])
@example(b"[" * 100_000 + b"Traceback (most recent call last):", NOWS[0])
@example(b"(" * 100_000, NOWS[0])
@example(b"(a " * 30_000 + b"pid=1) x", NOWS[0])
@example(b'{"time":"2026-01-31T12:00:00Z","level":"INFO","message":' + b"[" * 100_000, NOWS[0])
@example(b'{"time":"2026-01-31T12:00:00Z","level":"INFO","message":' + b"9" * 5000 + b"}", NOWS[0])
@example(b"Traceback (most recent call last):\n" * 3000, NOWS[0])
@example(b"INFO " + b" " * 100_000, NOWS[0])
@example(b"During handling of the " * 2800, NOWS[0])
@example(b'"GET a' * 10_000, NOWS[0])
@example(b'Traceback (most recent call last):\n  File "a"\n  File ' + b'File "' * 10_000 + b"\nValueError: x", NOWS[0])
@example(b"Traceback (most recent call last):\nValueError: " + b"Free memory on device " * 2800, NOWS[0])
def test_whatever_is_written(raw: bytes, now: datetime) -> None:
    lines = raw.decode(errors="replace").splitlines()
    with bounded():
        reader = LineReader(now)
        for line in lines:
            reader(line)
            raised(line)
        read_tracebacks(part for line in lines for part in parts(line))
        newest(lines, now)
        telling(lines)
    for exit_ in (Exit(1, None), Exit(None, 9)):
        with bounded():
            diagnose(exit_, lines)
            diagnose(exit_, lines, is_stack=False)


@slow
@given(soup(PIECES, max_size=30) | BYTES, NUMBERS)
@example(b"0001-01-01T00:00:00+23:59 INFO x\n", "1h")
@example(b"9999-12-31T23:59:59-23:59 INFO x\n", "1h")
@example(b"0001-01-01T00:00:00+23:59 INFO x\n", "0001-01-01T00:00:00-23:59")
@example(b"x\n" * 200_000, "1h")
@example(b"x" * 3_000_000, "1h")
def test_a_log_is_shown(tmp_path_factory: pytest.TempPathFactory, raw: bytes, since: str) -> None:
    home = tmp_path_factory.mktemp("home", numbered=True)
    (home / "mine" / "logs").mkdir(parents=True)
    (home / "mine" / "journal.json").write_text("{}")
    log = home / "mine" / "logs" / "a.log"
    log.write_bytes(raw)
    with bounded():
        tail(log, 20)
        registrations_in(log, 0, 1.0)
    for words in (["--json"], ["-n", "3"], [f"--since={since}"], ["--level", "error", "--grep", "x"]):
        with bounded(), pytest.MonkeyPatch.context() as patch, redirect_stdout(io.StringIO()):
            patch.setenv("DYNKV_HOME", str(home))
            try:
                run(["logs", *words])
            except DynkvError as error:
                assert error.hint


SPANS = st.lists(
    NUMBERS.flatmap(lambda number: st.sampled_from("ms s m h d w y".split()).map(number.__add__)), max_size=3
)


@fuzz
@given(SPANS.map("".join) | TEXTS | st.datetimes().map(str), st.sampled_from(NOWS))
@example("1e400s", NOWS[0])
@example("9" * 400 + "w", NOWS[0])
@example("9" * 100_000, NOWS[0])
@example("0001-01-01T00:00:00+23:59", NOWS[0])
def test_since(text: str, now: datetime) -> None:
    with bounded():
        try:
            at = moment(text, now)
        except UsageError as error:
            assert error.hint
            return
        assert (at < now) in (True, False)
        at.timestamp()
