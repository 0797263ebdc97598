"""Why a child died, from its exit status and the end of its log. Pure; the rules are in `rules`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dynkv.children.child import Exit
from dynkv.supervisor.farewells import Word
from dynkv.supervisor.last_words import LastWords, last_words
from dynkv.supervisor.rules import RULES, known

__all__ = ["RULES", "Diagnosis", "diagnose"]

_LONGEST = 240
"""Characters of a reason."""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    reason: str
    hint: str
    permanent: bool
    """Starting again cannot help."""


def diagnose(exit_: Exit, lines: Sequence[str], *, is_stack: bool = True, oom_killed: bool = False) -> Diagnosis:
    """`lines` are the last of the dead incarnation's log, as they stand there; `is_stack`: it was one of the stack's
    programs; `oom_killed`: the kernel killed for memory meanwhile.

    What no rule knows is named by the exception that ended it. Who was killed by a signal, or ended well, did not die
    of what its log says.
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
        # of one that was adopted nobody knows how it ended
        permanent = rule.permanent and word.is_certain and exit_.code is not None
        return Diagnosis(_reason(rule.reason, what, exit_), rule.hint, permanent)
    match = known(words.word)
    reason, hint = (match[0].reason, match[0].hint) if match else ("", "")
    return Diagnosis(_reason(reason, _in_one_line(word), exit_), hint, permanent=False)


def _in_one_line(word: Word) -> str:
    return " ".join(word.texts[0].split())


def _reason(reason: str, what: str, exit_: Exit) -> str:
    return f"{': '.join(part for part in (reason, what[:_LONGEST]) if part)} ({exit_})"
