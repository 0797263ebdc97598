"""What ended a process, as far as its log tells: the one statement that is about its death. Pure.

Whatever else stands there, a warning, an exception that was caught and logged, a request that failed, a prompt, says
nothing of it. What the main process says last counts; what its engine says, which is a process of its own, only where
the main process knows no more than that it is dead.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from dynkv.children.lines import Part, parts
from dynkv.children.tracebacks import read_tracebacks
from dynkv.supervisor.farewells import Word, of_bare_lines, of_last_error, of_messages, of_tracebacks

_MAIN = re.compile(r"$|MainProcess$|APIServer")
_ANSWERED = re.compile(r'"[A-Z]+ \S+ HTTP/[\d.]+" [23]\d\d')
_LINES_OF_AN_END = 50
"""That a program may still log on its way out; the mocker 1.6.1 logs about thirty."""


@dataclass(frozen=True, slots=True)
class LastWords:
    word: Word
    root: Word | None = None
    """Where `word` only says that an engine died: why, if that engine has told."""
    is_end: bool = True
    """The process did not go on after it, as far as anyone can tell."""


def last_words(lines: Iterable[str], code: int | None, *, is_stack: bool = True) -> LastWords | None:
    """Of a process that ended by itself with this code. `lines` are the last of its log, as they stand there.

    `is_stack`: it is one of the stack's programs, of which is known what they say on their way out. Of any other, a
    shell that goes on after a command has failed say, only what stands at the very end is its end.
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
        last = replace(last, is_certain=False)  # anyone can print a line like that
    return LastWords(last, root if last.is_about_engine else None, is_end)


def _named(part: Part) -> Part:
    """The main process without its name: what it prints has none."""
    return replace(part, owner="") if _MAIN.match(part.owner) else part


def _root(engine: Sequence[Word], bare: Sequence[Word]) -> Word | None:
    """The first engine, or worker, that died: others may have died of that. Else the last that is told in short."""
    causes = [word for word in engine if not word.is_about_engine]
    in_short = [word for word in bare if not word.is_about_engine]
    return next(iter([*causes, *in_short[-1:], *engine]), None)


def _goes_on(said: Sequence[Part], word: Word) -> bool:
    """Afterwards the main process logs more than a program has to say on its way out."""
    own = [part for part in said[word.at + 1 :] if not part.owner and part.level is not None]
    return len(own) > _LINES_OF_AN_END or any(_ANSWERED.search(part.text) for part in own)
