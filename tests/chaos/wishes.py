"""Requests to a deployment's workers, and which of them may rest afterwards."""

from __future__ import annotations

import random
from dataclasses import dataclass

Worlds = frozenset[frozenset[str]]
"""The sets of units that may be resting: `scale` does not say which ones stay."""


@dataclass(frozen=True, slots=True)
class Wish:
    """A command line, and the sets that may rest after it, given those before."""

    words: tuple[str, ...]
    stops: frozenset[str] = frozenset()
    starts: frozenset[str] = frozenset()
    running: int | None = None
    """With `scale`, how many should run."""

    def after(self, worlds: Worlds, units: frozenset[str]) -> Worlds:
        if self.running is None:
            return frozenset((resting | self.stops) - self.starts for resting in worlds)
        if self.running == len(units):
            return frozenset({frozenset()})
        return frozenset(frozenset({unit}) for unit in units)


def random_wish(chance: random.Random, worlds: Worlds, units: frozenset[str]) -> Wish:
    """A random request, for two units, that leaves at least one of them running."""
    one = chance.choice(sorted(units))
    one_set = frozenset({one})
    wishes = [
        Wish(("stop", one), stops=one_set),
        Wish(("start", one), starts=one_set),
        Wish(("restart", one), starts=one_set),
        Wish(("scale", "worker=1"), running=1),
        Wish(("scale", "worker=2"), running=2),
    ]
    return chance.choice([wish for wish in wishes if units not in wish.after(worlds, units)])
