"""Statements in a log about the end of a process, and the process that made them. Pure.

They are uncaught exceptions, which the interpreter prints from the outermost frame on, whereas the traceback of a
caught one begins in the function that caught it; and messages that the stack's programs write before they end.

Source: Python 3.11; vllm 0.31.0, v1/engine/core.py, v1/engine/core_client.py and v1/executor/multiproc_executor.py;
ai-dynamo 1.6.1, vllm/engine_monitor.py, vllm/handlers.py and frontend/main.py; lmcache 0.5.6, cli/main.py; uvicorn,
server.py and lifespan/on.py.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from msgspec import Struct

from dynkv.children.lines import Level, Part, raised
from dynkv.children.tracebacks import Traceback

ENGINE_DIED = re.compile(
    r"(EngineDeadError|Engine core initialization failed|EngineCore encountered (?:a fatal error|an issue)"
    r"|WorkerProc initialization failed|RuntimeError: Executor failed"
    r"|(?:Engine core|Worker) proc \S+ died unexpectedly)"
)
"""Says that an engine or its worker is dead, but not why."""
_ENGINE_LOST = re.compile(r"(?:\w+\.)*EngineDeadError\b")
"""Raised in the main process, which then has nothing left to do."""
_ENGINE = re.compile(r"EngineCore|(?:Vllm|Ray)?Worker")
_ENGINE_ENDS = re.compile(
    r"EngineCore failed to start|EngineCore encountered a fatal error|(?:Ray)?WorkerProc failed"
    r"|Process (?:EngineCore|VllmWorker|RayWorker)\S*:$"
)
_WORKER_IS_GONE = re.compile(r"Worker proc \S+ died unexpectedly")
"""Logged by an engine."""
_FORWARDED = re.compile(r"RuntimeError: Worker failed with error '(?P<error>.+?)(?:', please check|$)", re.MULTILINE)
"""An engine's message about an exception that its worker has logged."""
_ENTRY = re.compile(
    r'File ".*runpy(?:\.py|>)", line \d+, in _run_module_as_main$'
    r'|File "(?!.*/(?:site|dist)-packages/).*", line \d+, in <module>$'
    r'|File ".*/dynkv/instack/standby\.py", line \d+, in <module>$'
)
"""The outermost frame of a program: `python -m`, a script or `python -c`, or a fork of the standby."""
_SPAWNED = re.compile(r'in spawn_main$|File ".*/multiprocessing/forkserver\.py"')
_GIVES_UP = re.compile(r"Command failed\b|Flag '--chat-processor \w+' requires")
"""Messages of lmcache and dynamo.frontend about the exception that ends them."""
_STARTUP_FAILED = "Application startup failed. Exiting."
"""Logged by uvicorn after the traceback."""
_LAST_ERROR = re.compile(
    r"(?P<usage>Unknown arguments specified: )|\[Errno \d+\] error while attempting to bind on address"
    r"|vLLM (?:AsyncLLM health check failed|EngineDeadError): |Engine core proc \S+ died unexpectedly"
)
"""Logged before the end, without a traceback, by dynamo.frontend, uvicorn, dynamo.vllm and vLLM."""
_USAGE = re.compile(
    r"[^\s:][^:]*: error: (?P<known>unrecognized arguments|argument |the following arguments|ambiguous)?"
)
_USAGE_CODE = 2
"""Exit code of argparse after a usage error."""
_OF_A_REQUEST = re.compile(r"request|ASGI", re.IGNORECASE)
_INTERPRETER = re.compile(r"(?:\S*/)?(?:python|pypy)[\d.]*: \S|Fatal Python error: ")
_UNCAUGHT_CODE = 1
"""Exit code of Python after an uncaught exception."""


class Word(Struct, frozen=True):
    """A statement about the end of a process."""

    at: int
    """Index of the last part that belongs to it."""
    texts: tuple[str, ...]
    """An exception such as `TypeError: …`, or a message; then what caused it."""
    by_engine: bool = False
    """Whether an engine or a worker of one made it, and not the main process."""
    is_usage: bool = False
    is_certain: bool = True
    """Whether it is certainly about this end."""

    @property
    def is_about_engine(self) -> bool:
        return any(ENGINE_DIED.search(text) for text in self.texts)


def of_tracebacks(said: Sequence[Part], tracebacks: Sequence[Traceback], code: int | None) -> list[Word]:
    """Statements from tracebacks of exceptions that ended a process; `code` is the main process's exit code, if
    known."""
    found: list[Word] = []
    for traceback in tracebacks:
        if _ended_engine(traceback):
            found.append(_word(_raised_by_worker(traceback, tracebacks), traceback.rows[-1], by_engine=True))
        elif not traceback.owner and _was_given_up(traceback, said):
            found.append(_word(traceback, traceback.rows[-1]))
        elif not traceback.owner and _is_uncaught(traceback):
            is_certain = code in (None, _UNCAUGHT_CODE) and not _may_be_logged(traceback, said)
            found.append(_word(traceback, traceback.rows[-1], is_certain=is_certain))
    return found


def of_messages(said: Sequence[Part], code: int | None) -> list[Word]:
    """Statements without a traceback."""
    found: list[Word] = []
    for at, part in enumerate(said):
        is_printed = part.level is None
        if part.owner:
            if _is_error(part) and _ENGINE.match(part.owner) and _WORKER_IS_GONE.match(part.text):
                found.append(Word(at, (part.text,), by_engine=True))
        elif is_printed and (usage := _USAGE.match(part.text)) and _is_usage(usage, code):
            found.append(Word(at, (part.text,), is_usage=True))
        elif is_printed and _INTERPRETER.match(part.text):
            found.append(Word(at, (part.text,), is_certain=code in (None, _UNCAUGHT_CODE)))
        elif _is_error(part) and (last := _LAST_ERROR.match(part.text)):
            found.append(Word(at, (part.text,), is_usage=last["usage"] is not None))
    return found


def _is_usage(found: re.Match[str], code: int | None) -> bool:
    return code == _USAGE_CODE or (code is None and found["known"] is not None)


def of_bare_lines(said: Sequence[Part], tracebacks: Sequence[Traceback]) -> list[Word]:
    """Exceptions without a traceback: in a shortened log, all that is left."""
    rows = {row for traceback in tracebacks for row in traceback.rows}
    has_whole_ones = any(not traceback.owner for traceback in tracebacks)
    found: list[Word] = []
    before = Part("")
    for at, part in enumerate(said):
        by_engine = bool(_ENGINE.match(part.owner)) and (part.level is None or _is_error(part))
        by_main = not part.owner and part.level is None and not has_whole_ones
        if at not in rows and (by_engine or by_main) and (what := raised(part.text)):
            # it may be the end of a traceback that was cut off, or have been logged
            is_doubtful = by_main and (before.text.startswith(" ") or _is_error(before))
            found.append(Word(at, (what,), by_engine=by_engine, is_certain=not is_doubtful))
        before = part
    return found


def of_last_error(said: Sequence[Part], tracebacks: Sequence[Traceback]) -> Word | None:
    """An exception that the main process logs as an error, and then nothing more: many programs end like that, but
    not all."""
    last = max((row for row, part in enumerate(said) if not part.owner and part.text.strip()), default=0)
    whole = next((traceback for traceback in tracebacks if last in traceback.rows), None)
    if whole is None:
        what = raised(said[last].text) if said and _is_error(said[last]) else None
        return Word(last, (what,), is_certain=False) if what else None
    beginning = said[max(0, whole.rows[0] - 1) : whole.rows[0] + 1]
    is_logged = any(_is_error(part) for part in beginning) and not _OF_A_REQUEST.search(whole.said)
    return _word(whole, last, is_certain=False) if is_logged else None


def _word(traceback: Traceback, at: int, *, by_engine: bool = False, is_certain: bool = True) -> Word:
    return Word(at, (*traceback.raised, *traceback.causes), by_engine=by_engine, is_certain=is_certain)


def _is_error(part: Part) -> bool:
    return part.level is not None and part.level >= Level.ERROR


def _ended_engine(traceback: Traceback) -> bool:
    """Whether it ended an engine, a worker of one, or a process that was about to become one."""
    if traceback.owner and not _ENGINE.match(traceback.owner):
        return False
    return bool(_ENGINE_ENDS.match(traceback.said)) or (_is_from_entry(traceback) and _is_spawned(traceback))


def _raised_by_worker(traceback: Traceback, tracebacks: Sequence[Traceback]) -> Traceback:
    """For an exception that an engine only passes on, the traceback that its worker has logged."""
    passed_on = _FORWARDED.match(traceback.raised[0])
    if passed_on is None:
        return traceback
    others = (other for other in tracebacks if not _FORWARDED.match(other.raised[0]))
    return next((other for other in others if passed_on["error"] in other.raised[0]), traceback)


def _is_uncaught(traceback: Traceback) -> bool:
    return traceback.level is None and _is_from_entry(traceback) and not _is_spawned(traceback)


def _may_be_logged(traceback: Traceback, said: Sequence[Part]) -> bool:
    """Whether a script may have caught the exception in its outermost frame and logged it with the line before."""
    before = said[traceback.rows[0] - 1].level if traceback.rows[0] else None
    return before is not None and before >= Level.WARNING and "runpy" not in traceback.frames[0]


def _is_from_entry(traceback: Traceback) -> bool:
    return bool(traceback.frames and _ENTRY.match(traceback.frames[0]))


def _is_spawned(traceback: Traceback) -> bool:
    """Whether it is from a process that multiprocessing started."""
    return any(_SPAWNED.search(frame) for frame in traceback.frames[1:2])


def _was_given_up(traceback: Traceback, said: Sequence[Part]) -> bool:
    """Whether the main process caught the exception and ended anyway."""
    if _GIVES_UP.match(traceback.said) or any(_ENGINE_LOST.match(text) for text in traceback.raised):
        return True
    after = (part.text for part in said[traceback.rows[-1] + 1 :] if not part.owner and part.text)
    return next(after, None) == _STARTUP_FAILED
