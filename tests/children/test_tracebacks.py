"""Tracebacks in Python's own format, and in the stack's logs."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from textwrap import dedent

import pytest

from dynkv.children.lines import Level, parts
from dynkv.children.tracebacks import Traceback, read_tracebacks

PREFIX = "(EngineCore pid=4711) ERROR 05-12 10:11:12 [core.py:1433] "


def read(lines: Iterable[str]) -> list[Traceback]:
    return read_tracebacks([part for line in lines for part in parts(line)])


def run(program: str) -> list[Traceback]:
    """The tracebacks that Python writes to stderr."""
    done = subprocess.run([sys.executable, "-c", dedent(program)], capture_output=True, text=True)
    return read(done.stderr.splitlines())


@pytest.mark.parametrize(
    ("program", "raised", "causes"),
    [
        ("import missing", ["ModuleNotFoundError: No module named 'missing'"], []),
        ("raise AssertionError", ["AssertionError"], []),
        (r"raise ValueError('of\n  two lines')", ["ValueError: of\n  two lines"], []),
        ("raise KeyError(1) from OSError('busy')", ["KeyError: 1"], []),
        (
            """
            try:
                import missing
            except ImportError as error:
                raise ValueError('no') from error
            """,
            ["ValueError: no"],
            ["ModuleNotFoundError: No module named 'missing'"],
        ),
        (
            """
            try:
                import missing
            except ImportError:
                raise MemoryError('full')
            """,
            ["MemoryError: full"],
            [],
        ),
        (
            """
            try:
                try:
                    import missing
                except ImportError as error:
                    raise OSError('first') from error
            except OSError as error:
                raise ValueError('second') from error
            """,
            ["ValueError: second"],
            ["OSError: first", "ModuleNotFoundError: No module named 'missing'"],
        ),
        (
            "raise ExceptionGroup('many', [ValueError('a'), ExceptionGroup('more', [KeyError('b'), OSError('c')])])",
            ["ValueError: a", "KeyError: 'b'", "OSError: c"],
            [],
        ),
        (
            """
            def taken():
                try:
                    import missing
                except ImportError as error:
                    raise OSError('taken') from error
            try:
                taken()
            except OSError as error:
                caught = error
            raise ExceptionGroup('many', [KeyError('x'), caught])
            """,
            ["KeyError: 'x'", "OSError: taken"],
            ["ModuleNotFoundError: No module named 'missing'"],
        ),
        (
            """
            try:
                raise ExceptionGroup('many', [ValueError('a')])
            except* ValueError as group:
                raise OSError('taken') from group
            """,
            ["OSError: taken"],
            ["ValueError: a"],
        ),
    ],
    ids=[
        "plain",
        "without words",
        "of two lines",
        "from one that was never raised",
        "from another",
        "while another was handled",
        "from one that was raised from a third",
        "a group with a group",
        "a group with one that was raised from another",
        "from a group",
    ],
)
def test_what_was_raised_and_from_what(program: str, raised: list[str], causes: list[str]) -> None:
    found = run(program)[-1]
    assert (found.raised, found.causes) == (raised, causes)
    assert found.frames[0].endswith("in <module>")


@pytest.mark.parametrize(
    ("program", "said", "function"),
    [
        (
            """
            import logging
            def fetch():
                try:
                    import missing
                except ImportError:
                    logging.exception('could not fetch')
            fetch()
            """,
            "could not fetch",
            "fetch",
        ),
        (
            """
            import threading
            thread = threading.Thread(target=lambda: 1 / 0)
            thread.start()
            thread.join()
            """,
            "Exception in thread Thread-1 (<lambda>):",
            "_bootstrap_inner",
        ),
        (
            """
            class Held:
                def __del__(self):
                    1 / 0
            Held()
            """,
            "Exception ignored in: <function Held.__del__ at 0x>",
            "__del__",
        ),
        (
            """
            import multiprocessing
            def work():
                1 / 0
            process = multiprocessing.get_context('fork').Process(target=work, name='EngineCore')
            process.start()
            process.join()
            """,
            "Process EngineCore:",
            "_bootstrap",
        ),
    ],
    ids=["logged", "in a thread", "ignored", "in another process"],
)
def test_what_stands_before_it_and_where_it_begins(program: str, said: str, function: str) -> None:
    (found,) = run(program)
    assert found.said.partition(" at 0x")[0] == said.partition(" at 0x")[0]
    assert found.frames[0].endswith(f"in {function}")


def test_one_with_a_prefix_before_each_line() -> None:
    lines = ["EngineCore failed to start.", "Traceback (most recent call last):", '  File "/x/core.py", line 9, in run']
    lines += ["    start()", "ValueError: no", "  because"]
    (found,) = read([PREFIX + line for line in lines] + [PREFIX.replace("1433", "1") + "another message"])
    assert (found.said, found.level, found.owner) == ("EngineCore failed to start.", Level.ERROR, "EngineCore")
    assert (found.frames, found.raised) == (['File "/x/core.py", line 9, in run'], ["ValueError: no\n  because"])


def test_a_logged_one_of_which_only_the_first_line_has_a_prefix() -> None:
    header = "ERROR:    Traceback (most recent call last):"
    (found,) = read(["INFO:     Waiting", header, '  File "/x/routing.py", line 9, in lifespan', "OSError: no"])
    assert (found.said, found.level, found.raised) == ("", Level.ERROR, ["OSError: no"])


def test_in_json_it_is_part_of_one_line() -> None:
    message = r"failed\nTraceback (most recent call last):\n  File \"/x.py\", line 9, in run\nOSError: no"
    (found,) = read([f'{{"time":"2026-11-24T18:52:17.88Z","level":"ERROR","target":"log","message":"{message}"}}'])
    assert (found.said, found.level, found.raised) == ("failed", Level.ERROR, ["OSError: no"])


def test_others_write_between_its_lines() -> None:
    lines = ["Traceback (most recent call last):", '  File "<string>", line 1, in <module>', "OSError: no"]
    between = [PREFIX + "still busy", "2026-11-24T18:52:17.882975Z  INFO runtime: ends", "Triton is installed, but not"]
    mixed = [text for pair in zip(lines, between, strict=True) for text in pair]
    (found,) = read(mixed)
    assert found.raised == ["OSError: no"]


def test_two_processes_at_once() -> None:
    lines = ["WorkerProc failed to start.", "Traceback (most recent call last):", '  File "/x.py", line 9, in run']
    pairs = [(f"(Worker_TP{n} pid={n}) ERROR 05-12 10:11:12 [m.py:9] ", f"OSError: {n}") for n in (0, 1)]
    mixed = [prefix + line for line in lines for prefix, _ in pairs] + [prefix + end for prefix, end in pairs]
    assert [(found.owner, found.raised) for found in read(mixed)] == [
        ("Worker_TP0", ["OSError: 0"]),
        ("Worker_TP1", ["OSError: 1"]),
    ]


@pytest.mark.parametrize(
    "lines",
    [
        [],
        ["Traceback (most recent call last):"],
        ["Traceback (most recent call last):", '  File "<string>", line 1, in <module>'],
        ['  File "<string>", line 1, in <module>', "OSError: its beginning is cut off"],
        ["  Traceback (most recent call last):", "OSError: in the text of a message"],
        ["During handling of the above exception, another exception occurred:", "OSError: no"],
    ],
)
def test_what_is_no_whole_one(lines: list[str]) -> None:
    assert read(lines) == []
