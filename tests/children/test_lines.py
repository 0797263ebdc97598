"""Reading log lines in the formats of the stack's programs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from dynkv.children.lines import Level, Part, newest, parts, plain, raised, read_lines, telling

CET = timezone(timedelta(hours=1))
NOW = datetime(2026, 11, 24, 19, 0, tzinfo=CET)

DYNAMO = "\x1b[2m2026-11-24T18:52:17.882975Z\x1b[0m \x1b[31mERROR\x1b[0m \x1b[2mtower_http::trace\x1b[0m: failed"
LMCACHE = "\x1b[32;20m[2026-11-24 18:44:53,157] LMCache INFO:\x1b[0m Checking \x1b[3m(allocator.py:298)\x1b[0m"
VLLM = "(EngineCore pid=2383) ERROR 11-24 18:54:52 [core.py:1195] ValueError: Free memory on device cuda:0"
DYNAMO_JSON = (
    '{"time":"2026-11-24T18:52:17.882975Z","level":"ERROR","target":"log","message":"failed\\n  twice","log.line":3}'
)
DYNAMO_IN_ENGINE = "(EngineCore pid=2383) 2026-11-24T18:54:52.062150Z  WARN core.run_engine_core: it is slow"


@pytest.mark.parametrize(
    ("text", "at", "level"),
    [
        (DYNAMO, datetime(2026, 11, 24, 18, 52, 17, 882975, tzinfo=UTC), Level.ERROR),
        (DYNAMO_JSON, datetime(2026, 11, 24, 18, 52, 17, 882975, tzinfo=UTC), Level.ERROR),
        (DYNAMO_IN_ENGINE, datetime(2026, 11, 24, 18, 54, 52, 62150, tzinfo=UTC), Level.WARNING),
        (LMCACHE, datetime(2026, 11, 24, 18, 44, 53, 157000, tzinfo=CET), Level.INFO),
        (VLLM, datetime(2026, 11, 24, 18, 54, 52, tzinfo=CET), Level.ERROR),
        ("WARNING 12-31 23:59:59 [x.py:1] of last year", datetime(2025, 12, 31, 23, 59, 59, tzinfo=CET), Level.WARNING),
        ("2026-11-24 18:00:01,5 a program's own", datetime(2026, 11, 24, 18, 0, 1, 500000, tzinfo=CET), None),
        ('INFO:     127.0.0.1:38230 - "GET /metrics HTTP/1.1" 200 OK', None, Level.INFO),
        ("WARNING:root:a script's own", None, Level.WARNING),
        ("Traceback (most recent call last):", None, Level.ERROR),
        ("ERROR 13-45 99:99:99 [x.py:1] no date", None, Level.ERROR),
        ("INFORMATION about nothing", None, None),
        ("", None, None),
    ],
)
def test_time_and_level(text: str, at: datetime | None, level: Level | None) -> None:
    (line,) = read_lines([text], NOW)
    assert (line.at, line.level) == (at, level)
    assert "\x1b" not in line.text


def test_a_line_without_them_has_those_of_the_line_before() -> None:
    lines = list(
        read_lines(["first", VLLM, "  File x", "INFO:     uvicorn", "Traceback (most recent call last):"], NOW)
    )
    assert [line.at and line.at.minute for line in lines] == [None, 54, 54, 54, 54]
    assert [line.level for line in lines] == [None, Level.ERROR, Level.ERROR, Level.INFO, Level.ERROR]


def test_escape_sequences_are_removed() -> None:
    assert plain("\x1b[1;31mred\x1b[0m \x1b]8;;http://x\x07link\x1b]8;;\x07 [0m") == "red link [0m"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (DYNAMO, [("failed", Level.ERROR, "")]),
        (LMCACHE, [("Checking (allocator.py:298)", Level.INFO, "")]),
        (VLLM, [("ValueError: Free memory on device cuda:0", Level.ERROR, "EngineCore")]),
        ("(EngineCore pid=2) ERROR 11-24 18:54:52 [core.py:1]     run()", [("    run()", Level.ERROR, "EngineCore")]),
        ("(EngineCore pid=2) Process EngineCore:", [("Process EngineCore:", None, "EngineCore")]),
        (DYNAMO_IN_ENGINE, [("it is slow", Level.WARNING, "EngineCore")]),
        (DYNAMO_JSON, [("failed", Level.ERROR, ""), ("  twice", Level.ERROR, "")]),
        (DYNAMO_JSON[:60], [(',"targe', Level.ERROR, "")]),
        ("ERROR:    no", [("no", Level.ERROR, "")]),
        ("ERROR:root:no", [("no", Level.ERROR, "")]),
        ("[rank0]: Traceback (most recent call last):", [("Traceback (most recent call last):", None, "")]),
        ("  File x", [("  File x", None, "")]),
        ("", [("", None, "")]),
    ],
)
def test_a_line_taken_apart(line: str, expected: list[tuple[str, Level | None, str]]) -> None:
    assert [(part.text, part.level, part.owner) for part in parts(line)] == expected


def test_the_lines_of_one_message_begin_alike() -> None:
    heads = [part.head for line in (VLLM, VLLM.replace("ValueError", "  at"), "printed") for part in parts(line)]
    assert heads == ["(EngineCore pid=2383) ERROR 11-24 18:54:52 [core.py:1195] "] * 2 + [Part("").head]


FAILED_START = """\
(EngineCore pid=1) ERROR 11-24 19:27:45 [core.py:1433] EngineCore failed to start.
(EngineCore pid=1) ERROR 11-24 19:27:45 [core.py:1433] Traceback (most recent call last):
(EngineCore pid=1) ERROR 11-24 19:27:45 [core.py:1433]   File "/x/core.py", line 930, in __init__
(EngineCore pid=1) ERROR 11-24 19:27:45 [core.py:1433]     super().__init__(
(EngineCore pid=1) ERROR 11-24 19:27:45 [core.py:1433]     ^^^^^^^^^^^^^^^^^
(EngineCore pid=1) ERROR 11-24 19:27:45 [core.py:1433] AssertionError: Not enough allowed NUMA nodes
2026-11-24T19:28:05.70Z ERROR tower_http::trace::on_failure: response failed
INFO:     127.0.0.1:38230 - "GET /metrics HTTP/1.1" 200 OK
Traceback (most recent call last):
  File "<frozen runpy>", line 198, in _run_module_as_main
    raise RuntimeError(

During handling of the above exception, another exception occurred:

RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {}""".splitlines()


def test_what_a_person_would_look_for() -> None:
    assert telling(line for line in FAILED_START if line) == [FAILED_START[0], FAILED_START[5], FAILED_START[-1]]


@pytest.mark.parametrize(
    ("line", "what"),
    [
        (VLLM, "ValueError: Free memory on device cuda:0"),
        ("torch.OutOfMemoryError: CUDA out of memory.", "torch.OutOfMemoryError: CUDA out of memory."),
        ("(Worker_TP0 pid=9) AssertionError: no", "AssertionError: no"),
        ("INFO 11-24 18:54:52 [core.py:1] no Error: here", None),
        ("ValueError", None),
    ],
)
def test_an_exception_at_the_end_of_a_traceback(line: str, what: str | None) -> None:
    assert raised(line) == what


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([], ""),
        (["loading weights", "warming up"], "warming up"),
        (["INFO 11-24 18:52:17 [core.py:12] Loading", DYNAMO], "INFO 11-24 18:52:17 [core.py:12] Loading"),
        (
            ["WARNING 11-24 18:52:17 [a.py:1] it is deprecated:", "  wrapper = lookup(kernel)"],
            "WARNING 11-24 18:52:17 [a.py:1] it is deprecated:",
        ),
        ([DYNAMO], ""),
    ],
    ids=["none", "plain program", "answers to probes", "code of a warning", "nothing but answers"],
)
def test_the_line_that_says_what_a_program_does_just_now(lines: list[str], expected: str) -> None:
    assert newest(lines, NOW) == expected
