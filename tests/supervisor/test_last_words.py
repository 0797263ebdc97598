"""Which parts of a log are about the end of its process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynkv.supervisor.last_words import last_words

UNCAUGHT = """\
Traceback (most recent call last):
  File "<frozen runpy>", line 198, in _run_module_as_main
  File "/opt/venv/lib/python3.12/site-packages/dynamo/vllm/__main__.py", line 18, in <module>
{}""".format
CAUGHT = """\
Traceback (most recent call last):
  File "/opt/venv/lib/python3.12/site-packages/dynamo/vllm/handlers.py", line 4305, in generate
{}""".format
SPAWNED = """\
Traceback (most recent call last):
  File "<string>", line 1, in <module>
  File "/usr/lib/python3.12/multiprocessing/spawn.py", line 122, in spawn_main
{}""".format
NO_TORCH = "ModuleNotFoundError: No module named 'torch'"
TAKEN = "OSError: [Errno 98] Address already in use"
FULL = "torch.OutOfMemoryError: CUDA out of memory."
INIT_FAILED = "RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {}"
WORKER_FAILED = "Exception: WorkerProc initialization failed due to an exception in a background process."
FORWARDED = "RuntimeError: Worker failed with error 'too long', please check the stack trace above for the root cause"
INFO = "(MainProcess pid=7) INFO 07-01 12:00:01 [loggers.py:320] Engine 000: Running: 0 reqs, Waiting: 0 reqs"
ANSWER = 'INFO:     127.0.0.1:38230 - "GET /metrics HTTP/1.1" 200 OK'
MODULE_FRAME = '  File "/opt/venv/lib/python3.12/site-packages/fast/__init__.py", line 3, in <module>'
SCRIPT_FRAME = '  File "/srv/serve.py", line 3, in <module>'
STANDBY_FRAME = '  File "/opt/venv/lib/python3.12/site-packages/dynkv/instack/standby.py", line 323, in <module>'
HEADER = "Traceback (most recent call last):"


def of(owner: str, *texts: str) -> str:
    """Lines as vLLM logs them."""
    return "\n".join(f"({owner} pid=9) ERROR 07-01 12:00:00 [core.py:1433] {line}" for line in lines(texts))


def lines(texts: tuple[str, ...] | list[str]) -> list[str]:
    return [line for text in texts for line in text.splitlines()]


def told(*texts: str, code: int | None = 1) -> tuple[str, bool] | None:
    """What ended it, and whether that is certain; None if unknown."""
    found = last_words(lines(texts), code)
    word = found and (found.root or found.word)
    return (word.texts[0], word.is_certain) if word else None


@pytest.mark.parametrize(
    "texts",
    [
        [UNCAUGHT(TAKEN)],
        [INFO, UNCAUGHT(TAKEN), INFO],
        [CAUGHT(NO_TORCH), UNCAUGHT(TAKEN)],
        [UNCAUGHT(TAKEN), CAUGHT(NO_TORCH)],
        [UNCAUGHT(NO_TORCH), *[INFO] * 60, UNCAUGHT(TAKEN)],
        [UNCAUGHT(NO_TORCH), UNCAUGHT(TAKEN)],
        [UNCAUGHT(TAKEN), f"WARNING:root:{NO_TORCH}", f"ERROR:root:{NO_TORCH}"],
        [UNCAUGHT(TAKEN), NO_TORCH],
        [HEADER, SCRIPT_FRAME, TAKEN],
        [HEADER, STANDBY_FRAME, TAKEN],
        [f"[rank0]: {line}" for line in UNCAUGHT(TAKEN).splitlines()],
        [UNCAUGHT(TAKEN), "Process EngineCore:", CAUGHT(NO_TORCH)],
        [of("EngineCore", "EngineCore failed to start.", CAUGHT(NO_TORCH)), UNCAUGHT(TAKEN)],
        ["[2026-11-25 13:03:47,622] LMCache ERROR: Command failed (main.py:53:lmcache.cli.main)", CAUGHT(TAKEN)],
        ["ERROR:    " + CAUGHT(TAKEN), "ERROR:    Application startup failed. Exiting."],
        [TAKEN],
        [NO_TORCH, TAKEN, INFO],
    ],
    ids=[
        "uncaught",
        "words around it",
        "another was caught before",
        "another was caught on the way out",
        "another ended a helper long before",
        "the last counts",
        "logged afterwards",
        "printed afterwards",
        "of a script",
        "of one started from the standby",
        "as torch prints it",
        "an engine that died of it",
        "an engine is not asked",
        "given up by lmcache",
        "given up by uvicorn",
        "a log that was shortened",
        "a shortened log with another",
    ],
)
def test_the_exception_that_ended_it(texts: list[str]) -> None:
    assert told(*texts) == (TAKEN, True)


@pytest.mark.parametrize(
    "texts",
    [
        [],
        [INFO],
        [CAUGHT(TAKEN)],
        [INFO, CAUGHT(TAKEN), INFO],
        ["ERROR:    Exception in ASGI application", CAUGHT(TAKEN)],
        ["Exception in thread Thread-1 (work):", CAUGHT(TAKEN)],
        ["Exception ignored in: <function Held.__del__ at 0x7f00>", CAUGHT(TAKEN)],
        ["Task exception was never retrieved", "future: <Task finished name='Task-1'>", CAUGHT(TAKEN)],
        ["Process ForkPoolWorker-1:", CAUGHT(TAKEN)],
        [HEADER, MODULE_FRAME, NO_TORCH],
        [of("EngineCore", "Invocation of add_lora method failed", CAUGHT(TAKEN))],
        [of("MainProcess", "Error in the handshake", CAUGHT(TAKEN)), INFO],
        ["ERROR:root:could not serve it", CAUGHT(TAKEN), "serving"],
        [f"INFO:root:Received prompt: x: error: unrecognized arguments: --a; {TAKEN}"],
        [f"ERROR:root:{TAKEN}", f"ERROR    {TAKEN}", f"2026-11-24T18:52:17.88Z ERROR http: {TAKEN}", INFO],
        [f"ERROR:root:could not serve it: {TAKEN}"],
        [CAUGHT(f"HttpError: HTTP 400: {INIT_FAILED}"), "EngineDeadError: printed by a request"],
        [UNCAUGHT(TAKEN), *[INFO] * 60],
        [UNCAUGHT(TAKEN), ANSWER],
        ["ninja: error: loading 'build.ninja': No such file or directory"],
        ['  File "/cut/off.py", line 9, in beginning'],
    ],
    ids=[
        "nothing",
        "no error",
        "caught",
        "caught and went on",
        "of a request",
        "of a thread",
        "of a finalizer",
        "of a task",
        "of a helper",
        "of an import that a module can do without",
        "of a request to an engine",
        "logged by the main process",
        "logged by a script",
        "of a prompt",
        "logged in one line",
        "named in a message",
        "of a request that names an engine",
        "it went on for long",
        "it answered afterwards",
        "of another program",
        "no whole traceback",
    ],
)
def test_what_did_not_end_it(texts: list[str]) -> None:
    assert told(*texts) is None


@pytest.mark.parametrize(
    ("texts", "code"),
    [
        ([UNCAUGHT(TAKEN)], 3),
        (["WARNING:root:it goes on without", HEADER, SCRIPT_FRAME, TAKEN], 1),
        (["ERROR:root:could not serve it", TAKEN], 1),
        ([SCRIPT_FRAME, TAKEN], 1),
        ([NO_TORCH, INFO, "ERROR:root:could not serve it", CAUGHT(TAKEN)], 1),
        ([CAUGHT(NO_TORCH), INFO, of("MainProcess", "could not serve it", CAUGHT(TAKEN))], 1),
        ([CAUGHT(NO_TORCH), INFO, of("MainProcess", TAKEN)], 1),
    ],
    ids=[
        "Python ends with code 1",
        "a script may have logged it",
        "or this one",
        "its beginning is cut off",
        "logged, and then nothing more",
        "logged by vLLM",
        "logged in one line",
    ],
)
def test_what_may_have_ended_it(texts: list[str], code: int) -> None:
    assert told(*texts, code=code) == (TAKEN, False)


@pytest.mark.parametrize(
    ("before", "text", "code"),
    [
        ("", "__main__.py: error: unrecognized arguments: --a", 2),
        ("", "lmcache server: error: the following arguments are required: --l1-size-gb", 2),
        ("", "serve.py: error: --a takes no --b", 2),
        ("", "serve.py: error: argument --port: invalid int value: 'x'", None),
        ("2026-11-25T12:59:09.555355Z ERROR main.parse_args: ", "Unknown arguments specified: ['--a']", 1),
    ],
)
def test_a_usage_error(before: str, text: str, code: int | None) -> None:
    found = last_words(["usage: serve.py [-h]", before + text], code)
    assert found
    assert (found.word.is_usage, found.word.is_certain, found.word.texts) == (True, True, (text,))


ENGINES = {
    "died at its start": [of("EngineCore", "EngineCore failed to start.", CAUGHT(FULL)), UNCAUGHT(INIT_FAILED)],
    "died at work": [of("EngineCore", "EngineCore encountered a fatal error.", CAUGHT(FULL)), UNCAUGHT(INIT_FAILED)],
    "a process that prints": ["Process EngineCore_DP0:", CAUGHT(FULL), UNCAUGHT(INIT_FAILED)],
    "never became one": [SPAWNED(FULL), UNCAUGHT(INIT_FAILED)],
    "its worker died": [
        of("Worker_TP1", "WorkerProc failed to start.", CAUGHT(FULL)),
        of("EngineCore", "EngineCore failed to start.", CAUGHT(WORKER_FAILED)),
        UNCAUGHT(INIT_FAILED),
    ],
    "the first worker counts": [
        of("Worker_TP1", "WorkerProc failed to start.", CAUGHT(FULL)),
        of("Worker_TP0", "WorkerProc failed to start.", CAUGHT("RuntimeError: NCCL error: remote process exited")),
        UNCAUGHT(INIT_FAILED),
    ],
    "not a request of its": [
        of("EngineCore", "Invocation of add_lora method failed", CAUGHT(NO_TORCH)),
        of("EngineCore", "EngineCore encountered a fatal error.", CAUGHT(FULL)),
        of("MainProcess", "AsyncLLM output_handler failed.", CAUGHT("vllm.v1.engine.exceptions.EngineDeadError: no")),
    ],
    "the main process gives up": [
        of("EngineCore", "EngineCore encountered a fatal error.", CAUGHT(FULL)),
        "2026-11-25T13:13:57.9Z ERROR engine_monitor._check: vLLM AsyncLLM health check failed: EngineCore encountered "
        "an issue. See stack trace (above) for the root cause.",
    ],
    "raised from another": [
        of("EngineCore", "EngineCore failed to start.", CAUGHT(FULL)),
        CAUGHT("vllm.v1.engine.exceptions.EngineDeadError: no"),
        "The above exception was the direct cause of the following exception:",
        UNCAUGHT(INIT_FAILED),
    ],
    "only the engine speaks": [of("EngineCore", "EngineCore failed to start.", CAUGHT(FULL))],
    "as vLLM 0.23 prints it": [
        "\n".join(f"(EngineCore pid=9) {line}" for line in ("Process EngineCore:", HEADER, FULL))
    ],
    "shortened": [of("EngineCore", NO_TORCH, FULL), INIT_FAILED],
    "all is shortened": [NO_TORCH, FULL, INIT_FAILED],
}


@pytest.mark.parametrize("texts", ENGINES.values(), ids=ENGINES)
def test_an_engine_dies_of_what_it_says_itself(texts: list[str]) -> None:
    assert told(*texts) == (FULL, True)


def test_an_exception_that_an_engine_only_passes_on_is_that_of_its_worker() -> None:
    hit = of("Worker", "WorkerProc hit an exception.", CAUGHT("ValueError: too long"))
    died = of("EngineCore", "EngineCore failed to start.", CAUGHT(FORWARDED))
    assert told(hit, died, UNCAUGHT(INIT_FAILED)) == ("ValueError: too long", True)
    assert told(died, UNCAUGHT(INIT_FAILED)) == (FORWARDED, True)


def test_an_engine_that_was_killed_says_nothing() -> None:
    gone = of("EngineCore", "Worker proc VllmWorker-0 died unexpectedly (exit code: -9), shutting down executor.")
    fatal = of("EngineCore", "EngineCore encountered a fatal error.", CAUGHT("RuntimeError: Executor failed."))
    assert told(CAUGHT(NO_TORCH), UNCAUGHT(INIT_FAILED)) == (INIT_FAILED, True)
    assert told(gone, fatal, UNCAUGHT(INIT_FAILED)) == (gone.partition("] ")[2], True)


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        ("import missing", ("ModuleNotFoundError: No module named 'missing'", True)),
        ("raise SystemExit(1)", None),
        (
            """
            import logging
            def fetch():
                try:
                    import missing
                except ImportError:
                    logging.exception('it goes on without')
            fetch()
            logging.warning('stopping')
            raise SystemExit(1)
            """,
            None,
        ),
        (
            """
            import logging, sys
            def main():
                try:
                    raise OSError('taken')
                except OSError:
                    logging.exception('could not serve')
                    sys.exit(1)
            main()
            """,
            ("OSError: taken", False),
        ),
        (
            """
            import threading, sys
            thread = threading.Thread(target=lambda: 1 / 0)
            thread.start()
            thread.join()
            sys.exit(1)
            """,
            None,
        ),
        (
            """
            import asyncio
            async def fail():
                raise OSError('taken')
            async def main():
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(fail())
            asyncio.run(main())
            """,
            ("OSError: taken", True),
        ),
        (
            """
            import atexit, logging
            atexit.register(logging.error, "ModuleNotFoundError: No module named 'missing'")
            raise OSError('taken')
            """,
            ("OSError: taken", True),
        ),
        (
            """
            import argparse
            argparse.ArgumentParser(prog='serve').parse_args(['--no-such-thing'])
            """,
            ("serve: error: unrecognized arguments: --no-such-thing", True),
        ),
    ],
    ids=[
        "uncaught",
        "without a word",
        "logged",
        "logged before it ends",
        "in a thread",
        "in a task group",
        "words at exit",
        "usage",
    ],
)
def test_of_real_processes(program: str, expected: tuple[str, bool] | None, tmp_path: Path) -> None:
    script = tmp_path / "serve.py"
    script.write_text(dedent(program))
    done = subprocess.run([sys.executable, script], capture_output=True, text=True)
    assert told(done.stderr, code=done.returncode) == expected


NO_FOO = "/usr/bin/python3: No module named foo"
OTHERS = {
    "an interpreter's word at the end": (NO_FOO, 1, (NO_FOO, True, True)),
    "another code than Python's": (NO_FOO, 7, (NO_FOO, False, True)),
    "it went on": (f"{NO_FOO}\ngoing on", 1, (NO_FOO, True, False)),
    "it went on and logged": (f"{NO_FOO}\nINFO:root:going on", 1, (NO_FOO, True, False)),
    "it caught its error": (f"{HEADER}\n{SCRIPT_FRAME}\n{NO_TORCH}\ngiving up", 1, (NO_TORCH, True, False)),
    "it did not": (f"{HEADER}\n{SCRIPT_FRAME}\n{NO_TORCH}\n", 1, (NO_TORCH, True, True)),
    "a line alone": (NO_TORCH, 1, (NO_TORCH, False, True)),
    "about an error": ("note: error: argument of type int", 5, None),
    "about an error, with Python's code": ("note: error: argument of type int", 1, None),
    "a usage error": ("x: error: argument --a: invalid", 2, ("x: error: argument --a: invalid", True, True)),
    "a usage error of another": (
        "x: error: argument --a: invalid\ngoing on",
        2,
        ("x: error: argument --a: invalid", True, False),
    ),
}
"""A log, the exit code, and the words with whether they are certain and whether they are its end."""


@pytest.mark.parametrize(("text", "code", "expected"), OTHERS.values(), ids=OTHERS)
def test_of_any_other_program_only_what_stands_at_the_end_is_its_end(
    text: str, code: int, expected: tuple[str, bool, bool] | None
) -> None:
    found = last_words(text.splitlines(), code, is_stack=False)
    assert (found and (found.word.texts[0], found.word.is_certain, found.is_end)) == expected


def test_of_a_module_that_python_cannot_find() -> None:
    done = subprocess.run([sys.executable, "-m", "no.such.module"], capture_output=True, text=True)
    found = told(done.stderr, code=done.returncode)
    assert found
    assert found[0].startswith(sys.executable)


PIECES = [
    *lines((UNCAUGHT(TAKEN), CAUGHT(NO_TORCH), SPAWNED(FULL), INFO, ANSWER, INIT_FAILED, FORWARDED)),
    *lines((of("EngineCore", "EngineCore failed to start.", CAUGHT(FORWARDED)), "Process EngineCore:", "")),
    "ERROR:    Traceback (most recent call last):",
    "ERROR:    Application startup failed. Exiting.",
    "  + Exception Group Traceback (most recent call last):",
    "  | ExceptionGroup: many (2 sub-exceptions)",
    "  +-+---------------- 1 ----------------",
    "    | Traceback (most recent call last):",
    "    | KeyError: 1",
    "    +------------------------------------",
    "The above exception was the direct cause of the following exception:",
    "During handling of the above exception, another exception occurred:",
    '{"time":"2026-11-25T13:14:27.0Z","level":"ERROR","message":"Traceback (most recent call last):\\nOSError: 1"}',
    '{"time":"2026-11-25T13:14:27.0Z","level":"ERROR"',
]


@given(st.lists(st.sampled_from(PIECES) | st.text(), max_size=30), st.sampled_from([None, 1, 2, 3]), st.booleans())
def test_whatever_a_log_says_it_is_read(texts: list[str], code: int | None, is_stack: bool) -> None:
    found = last_words(texts, code, is_stack=is_stack)
    assert found is None or all(word.texts for word in (found.word, found.root) if word)
