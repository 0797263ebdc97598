"""The interface of a load generator. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import ClassVar, Protocol

from msgspec import Struct

from dynkv.bench.figures import Load
from dynkv.bench.workloads import Asked, Workload


class Target(Struct, frozen=True):
    """The destination of requests."""

    endpoint: str
    """The frontend's base URL."""
    served_name: str
    tokenizer: str
    """A directory, or an id."""


class Tool(Protocol):
    """A load generator, from the stack or separate."""

    words: ClassVar[str]
    program: ClassVar[str]
    """Its name in instack/bench_load.py."""
    environment: ClassVar[Mapping[str, str]]
    is_new_each_round: ClassVar[bool]
    """Whether no round finds in a cache what another one left."""

    def refusal(self, workload: Workload) -> str:
        """Why it cannot make this load; empty if it can."""

    def arguments(self, target: Target, workload: Workload, requests: Sequence[Asked], stem: PurePath) -> list[str]:
        """Arguments of one round. `stem` is the beginning of its files: `text` is in the one that ends in .jsonl."""

    def text(self, requests: Sequence[Asked]) -> str:
        """Its input file; empty for none."""

    def result(self, stem: PurePath) -> PurePath:
        """The file with its report."""

    def load_of(self, text: str, requests: Sequence[Asked]) -> Load:
        """The report. Raises ValueError, KeyError or TypeError if the text is something else."""
