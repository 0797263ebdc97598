"""What ended a process, as far as its log shows: the one statement that is about its death. Pure.

Anything else in the log, such as a warning, a caught and logged exception, a failed request or a prompt, says nothing
about it. The last statement of the main process counts; those of its engine, a separate process, count only if the main
process knows no more than that the engine is dead.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from msgspec import Struct
from msgspec.structs import replace

from dynkv.children.lines import Part, parts
from dynkv.children.tracebacks import read_tracebacks
from dynkv.supervisor.farewells import Word, of_bare_lines, of_last_error, of_messages, of_tracebacks

_MAIN = re.compile(r"$|MainProcess$|APIServer")
_ANSWERED = re.compile(r'"[A-Z]+ \S+ HTTP/[\d.]+" [23]\d\d')
_LINES_OF_AN_END = 50
"""Lines that a program may still log while it ends; the mocker 1.6.1 logs about thirty."""


class LastWords(Struct, frozen=True):
    word: Word
    root: Word | None = None
    """If `word` only says that an engine died, the engine's own reason, if it gave one."""
    is_end: bool = True
    """Whether the process did not continue after it, as far as anyone can tell."""


def last_words(lines: Iterable[str], code: int | None, *, is_stack: bool = True) -> LastWords | None:
    """The last words of a process that ended by itself with this code. `lines` are the last of its log, unchanged.

    `is_stack`: it is one of the stack's programs, whose messages while ending are known. For any other program, such as
    a shell that continues after a failed command, only the very end of the log counts.
    """
    said = [_named(part) for line in lines for part in parts(line)]
    tracebacks = read_tracebacks(said)
    told = sorted([*of_tracebacks(said, tracebacks, code), *of_messages(said, code)], key=lambda word: word.at)
    bare = of_bare_lines(said, tracebacks)
    is_shortened = all(word.by_engine for word in told)
    main = [word for word in (bare if is_shortened else told) if not word.by_engine]
    last = next((word for word in reversed(main) if not _goes_on(said, word)), None)
    bare = [word for word in bare if word.by_engine or (is_shortened and last)]
    root = _root([word for word in told if word.by_engine], bare)
    if last is None:
        last, root = root or of_last_error(said, tracebacks), None
    if last is None:
        return None
    is_end = is_stack or not any(part.text.strip() for part in said[last.at + 1 :])
    if is_shortened and not is_stack:
        last = replace(last, is_certain=False)  # any program can print a line like that
    return LastWords(last, root if last.is_about_engine else None, is_end)


def _named(part: Part) -> Part:
    """The part without the main process's name: what it prints has none."""
    return replace(part, owner="") if _MAIN.match(part.owner) else part


def _root(engine: Sequence[Word], bare: Sequence[Word]) -> Word | None:
    """The statement of the first engine or worker that died, as others may have died of that; else the last short
    one."""
    causes = [word for word in engine if not word.is_about_engine]
    in_short = [word for word in bare if not word.is_about_engine]
    return next(iter([*causes, *in_short[-1:], *engine]), None)


def _goes_on(said: Sequence[Part], word: Word) -> bool:
    """Whether the main process logs more afterwards than a program does while it ends."""
    own = [part for part in said[word.at + 1 :] if not part.owner and part.level is not None]
    return len(own) > _LINES_OF_AN_END or any(_ANSWERED.search(part.text) for part in own)
