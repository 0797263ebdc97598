"""Traffic of common kinds, as requests whose prompts share blocks. Pure.

A prompt is a list of block ids: the same ids are the same tokens in every request. The load generator makes the tokens
from them, so every variant gets the same requests, and no real text is needed.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import count
from typing import Literal, Self

from msgspec import Struct
from msgspec.structs import replace

from dynkv.bench.trace import Request, Trace
from dynkv.errors import UsageError

Kind = Literal["chat", "rag", "prefix", "random", "trace"]
_ROUND = 10**9
"""Number of block ids for one round: no round finds in a cache what another one left."""
WARM_UP = "warm-up"
_WARM_UPS, _WARM_UP_IDS = 4, 10**6


class Asked(Request, frozen=True):
    """A request of a round; its time only matters in a timed workload."""

    label: str = ""
    """A label that separates figures, for example a chat's turn."""


class Workload(Struct, frozen=True):
    """The number of users and the lengths of their prompts, in tokens unless stated otherwise."""

    kind: Kind
    users: int = 8
    """Chats, documents of `rag`, or requests of `prefix` and `random`."""
    turns: int = 4
    """Turns of a chat, or questions about a document."""
    shared_tokens: int = 256
    """Length of a system prompt that all share."""
    context_tokens: int = 2000
    """Length of a chat's initial history, a document, or the whole prompt of `random`."""
    question_tokens: int = 64
    output_tokens: int = 128
    concurrency: int = 8
    """Most requests in flight; one for each chat, since a turn follows the previous answer."""
    seed: int = 0
    rate: float = 1.0
    """Requests per second, for a load generator that sends by the clock."""
    block_tokens: int = 16
    """Lengths are rounded up to whole blocks."""
    recorded: tuple[Request, ...] = ()
    """Requests of a trace; its blocks are numbered from 0."""
    is_timed: bool = False
    """Whether requests are sent at their times, instead of as soon as another one is done."""

    @classmethod
    def of_trace(cls, trace: Trace, *, concurrency: int, is_timed: bool, seed: int = 0) -> Self:
        """The requests of a trace, at their times, or as fast as `concurrency` allows."""
        numbers: dict[int, int] = {}
        recorded = tuple(
            replace(it, blocks=tuple(numbers.setdefault(block, len(numbers)) for block in it.blocks))
            for it in trace.requests
        )
        return cls(
            kind="trace",
            context_tokens=trace.block_tokens,
            output_tokens=1,
            concurrency=concurrency,
            seed=seed,
            block_tokens=trace.block_tokens,
            recorded=recorded,
            is_timed=is_timed,
        )

    def requests(self, round: int) -> list[Asked]:
        """Requests of one round; the first ones are for warm-up: they are labelled so, and share nothing with the
        others."""
        ids = count(round * _ROUND)
        warm_up = [self._random(ids, WARM_UP) for _ in range(_WARM_UPS)]
        match self.kind:
            case "chat":
                asked = list(self._chat(ids))
            case "rag":
                asked = list(self._rag(ids, round))
            case "prefix":
                shared = self._blocks(ids, self.context_tokens)
                asked = [
                    self._asked("", (*shared, *self._blocks(ids, self.question_tokens))) for _ in range(self.users)
                ]
            case "random":
                asked = [self._random(ids, "") for _ in range(self.users)]
            case "trace":
                asked = [_moved(it, round) for it in self.recorded]
        return [*warm_up, *asked]

    @property
    def working_set_tokens(self) -> int:
        """How many tokens a cache must hold to serve every repeated prefix; 0 if the workload has none."""
        return self.users * self._tokens_of_one if self.kind in ("chat", "rag") else 0

    @property
    def at_a_time(self) -> int:
        return min(self.concurrency, self.users) if self.kind == "chat" else self.concurrency

    def described(self, *, is_pressed: bool) -> str:
        """A description of everything except a trace's content; `is_pressed`: the pressure determines the number of
        users."""
        if self.kind == "trace":
            timing = "at their times" if self.is_timed else f"{self.concurrency} at a time"
            return f"trace: {len(self.recorded)} requests, {timing}, seed {self.seed}"
        of = {"chat": "chats", "rag": "documents"}.get(self.kind, "requests")
        turns = f", {self.turns} {'turns' if self.kind == 'chat' else 'questions each'}" if of != "requests" else ""
        lengths = (
            f"{self.shared_tokens} shared, {self.context_tokens} of context, {self.question_tokens} in a question, "
            f"{self.output_tokens} out"
        )
        at_a_time = self.concurrency if is_pressed else self.at_a_time
        users = "" if is_pressed else f"{self.users} "
        return f"{self.kind}: {users}{of}{turns}, tokens: {lengths}; {at_a_time} at a time, seed {self.seed}"

    def under_pressure(self, pressure: float, cache_tokens: int) -> Workload:
        """The workload with as many users that the working set is this multiple of the cache. Raises UsageError."""
        if self.kind not in ("chat", "rag"):
            raise UsageError(f"the working set of {self.kind} cannot be chosen", hint="--workload chat, or rag")
        users = max(1, round(pressure * cache_tokens / self._tokens_of_one))
        return replace(self, users=users)

    @property
    def _tokens_of_one(self) -> int:
        turns = self.turns if self.kind == "chat" else 1
        grown = (turns - 1) * (self._whole(self.question_tokens) + self._whole(self.output_tokens))
        return self._whole(self.context_tokens) + self._whole(self.question_tokens) + grown

    def _chat(self, ids: Iterator[int]) -> Iterator[Asked]:
        """Turn after turn of all users, so that a user's next turn comes after all others have had theirs."""
        shared = self._blocks(ids, self.shared_tokens)
        histories = [(*shared, *self._blocks(ids, self.context_tokens)) for _ in range(self.users)]
        for turn in range(1, self.turns + 1):
            for user, before in enumerate(histories):
                prompt = (*before, *self._blocks(ids, self.question_tokens))
                yield self._asked(f"turn {turn}", prompt)
                histories[user] = (*prompt, *self._blocks(ids, self.output_tokens))

    def _rag(self, ids: Iterator[int], round: int) -> Iterator[Asked]:
        """Questions about documents in random order; the first about each finds nothing."""
        shared = self._blocks(ids, self.shared_tokens)
        documents = [(*shared, *self._blocks(ids, self.context_tokens)) for _ in range(self.users)]
        order = [number for number in range(self.users) for _ in range(self.turns)]
        random.Random(self.seed + round).shuffle(order)
        seen: set[int] = set()
        for number in order:
            label = "seen before" if number in seen else "new document"
            seen.add(number)
            yield self._asked(label, (*documents[number], *self._blocks(ids, self.question_tokens)))

    def _random(self, ids: Iterator[int], label: str) -> Asked:
        return self._asked(label, self._blocks(ids, self.context_tokens))

    def _asked(self, label: str, blocks: tuple[int, ...]) -> Asked:
        return Asked(0.0, len(blocks) * self.block_tokens, self.output_tokens, blocks, label)

    def _whole(self, tokens: int) -> int:
        return -(-tokens // self.block_tokens) * self.block_tokens

    def _blocks(self, ids: Iterator[int], tokens: int) -> tuple[int, ...]:
        return tuple(next(ids) for _ in range(self._whole(tokens) // self.block_tokens))


def _moved(it: Request, round: int) -> Asked:
    """The request in this round: prompts share as in the recording, but nothing with another round."""
    blocks = tuple(round * _ROUND + _WARM_UP_IDS + block for block in it.blocks)
    return Asked(it.at_ms, it.input_tokens, it.output_tokens, blocks)
