"""Why a child died, from its exit status and the end of its log. Pure; the rules are in rules.py."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from dynkv.children.child import Exit
from dynkv.supervisor.farewells import Word
from dynkv.supervisor.last_words import LastWords, last_words
from dynkv.supervisor.rules import RULES, known

__all__ = ["RULES", "Diagnosis", "diagnose"]

_LONGEST = 240
"""Most characters of a reason."""


class Diagnosis(Struct, frozen=True):
    reason: str
    hint: str
    permanent: bool
    """Whether starting again cannot help."""


def diagnose(exit_: Exit, lines: Sequence[str], *, is_stack: bool = True, oom_killed: bool = False) -> Diagnosis:
    """Find the reason. `lines` are the last of the dead incarnation's log, unchanged; `is_stack`: it was one of the
    stack's programs; `oom_killed`: the kernel killed something for lack of memory meanwhile.

    If no rule matches, the exception that ended it gives the name. For a process that was killed by a signal or exited
    with 0, the log says nothing about its death.
    """
    if oom_killed and exit_.signal == 9:
        hint = "lower lmcache.l1_size_gb or the number of workers, or give the machine more memory"
        return Diagnosis(f"the kernel ran out of memory and killed it ({exit_})", hint, permanent=False)
    if exit_.signal is not None or exit_.code == 0:
        return Diagnosis(str(exit_), "", permanent=False)
    words = last_words(lines, exit_.code, is_stack=is_stack)
    return Diagnosis(str(exit_), "", permanent=False) if words is None else _explained(words, exit_)


def _explained(words: LastWords, exit_: Exit) -> Diagnosis:
    word = words.root or words.word
    if not words.is_end:
        return Diagnosis(_reason("the last error in its log", _in_one_line(word), exit_), "", permanent=False)
    if match := known(word):
        rule, what = match
        # nobody knows how an adopted process ended
        permanent = rule.permanent and word.is_certain and exit_.code is not None
        return Diagnosis(_reason(rule.reason, what, exit_), rule.hint, permanent)
    match = known(words.word)
    reason, hint = (match[0].reason, match[0].hint) if match else ("", "")
    return Diagnosis(_reason(reason, _in_one_line(word), exit_), hint, permanent=False)


def _in_one_line(word: Word) -> str:
    return " ".join(word.texts[0].split())


def _reason(reason: str, what: str, exit_: Exit) -> str:
    return f"{': '.join(part for part in (reason, what[:_LONGEST]) if part)} ({exit_})"
