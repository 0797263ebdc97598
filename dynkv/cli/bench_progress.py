"""The progress of a benchmark, next to its output."""

from __future__ import annotations

import time

from dynkv.bench.diary import Diary
from dynkv.bench.run import Task
from dynkv.bench.variants import Visit
from dynkv.cli.report import note

_MINUTE_S = 60.0


class Progress:
    """Reports what is done, and how long the rest takes at the pace so far."""

    def __init__(self, task: Task, diary: Diary) -> None:
        self._task = task
        self._diary = diary
        self._began = time.monotonic()
        self._done_before = len(diary.notes.rounds)

    def tell(self, visit: Visit, what: str) -> None:
        note(f"round {visit.round} of {self._task.rounds}, {visit.variant.name}: {what}{self._left()}")

    def _left(self) -> str:
        done = len(self._diary.notes.rounds)
        all_of_them = self._task.rounds * len(self._task.points) * len(self._task.variants)
        if done == self._done_before:
            return ""
        left_s = (time.monotonic() - self._began) / (done - self._done_before) * (all_of_them - done)
        return f" (about {left_s / _MINUTE_S:.0f} min left)" if left_s > _MINUTE_S else f" (about {left_s:.0f} s left)"
