"""What a load generator has to be able to say, whichever it is. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import ClassVar, Protocol

from dynkv.bench.figures import Load
from dynkv.bench.workloads import Asked, Workload


@dataclass(frozen=True, slots=True)
class Target:
    """Where requests go."""

    endpoint: str
    """The frontend's base URL."""
    served_name: str
    tokenizer: str
    """A directory, or an id."""


class Tool(Protocol):
    """A load generator, of the stack or beside it."""

    words: ClassVar[str]
    program: ClassVar[str]
    """As instack/bench_load.py knows it."""
    environment: ClassVar[Mapping[str, str]]
    is_new_each_round: ClassVar[bool]
    """Whether no round finds in a cache what another one left."""

    def refusal(self, workload: Workload) -> str:
        """Why it cannot make this load; empty if it can."""

    def arguments(self, target: Target, workload: Workload, requests: Sequence[Asked], stem: PurePath) -> list[str]:
        """Of one round. `stem` is where its files begin: `text` is in the one that ends in .jsonl."""

    def text(self, requests: Sequence[Asked]) -> str:
        """What it reads; empty for nothing."""

    def result(self, stem: PurePath) -> PurePath:
        """Where it writes what it has measured."""

    def load_of(self, text: str, requests: Sequence[Asked]) -> Load:
        """What it has written; raises ValueError, KeyError or TypeError where that is something else."""
