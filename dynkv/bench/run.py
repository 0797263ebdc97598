"""One run of a benchmark: every variant is brought up, measured and taken down, round after round."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from dynkv.bench.counters import cache_tokens, counted
from dynkv.bench.diary import Diary, Failure, Round
from dynkv.bench.figures import Limits, Load, figures_of, first_tokens
from dynkv.bench.generator import Generator
from dynkv.bench.site import NotMeasured, Site
from dynkv.bench.tools import Target, Tool
from dynkv.bench.variants import Variant, Visit, visits
from dynkv.bench.workloads import Workload
from dynkv.errors import UsageError
from dynkv.probes.text import Samples


class Prepared(Struct, frozen=True):
    """What is known of a variant before it runs."""

    python: str
    tokenizer: str
    """The model's tokenizer: a directory, or an id."""
    is_offline: bool


class Task(Struct, frozen=True):
    """What to measure, and how."""

    variants: Mapping[Variant, Prepared]
    workload: Workload
    pressures: tuple[float, ...]
    """Multiples of the GPU's KV cache; none for the workload as it is."""
    rounds: int
    limits: Limits
    round_timeout_s: float
    tool: Tool
    running: str = ""
    """An already running deployment, which stays; otherwise each variant is brought up and taken down."""

    @property
    def points(self) -> tuple[str, ...]:
        return tuple(f"{pressure:g}" for pressure in self.pressures) or ("",)


def measure(task: Task, site: Site, diary: Diary, tell: Callable[[Visit, str], None]) -> None:
    """Measure every round that the diary lacks. Ctrl-C keeps what is finished, and leaves nothing running."""
    left = [it for it in visits(list(task.variants), task.rounds) if _missing(task, diary, it)]
    if not left:
        return
    first = next(iter(task.variants.values()))
    env = {**task.tool.environment, **({"HF_HUB_OFFLINE": "1"} if first.is_offline else {})}
    with Generator(first.python, task.tool.program, env, site.folder / "logs" / "load.log") as generator:
        run = _Run(task, site, diary, tell, generator)
        for visit in left:
            run.visit(visit)


def _missing(task: Task, diary: Diary, visit: Visit) -> list[str]:
    """The points that are not measured yet."""
    return [it for it in task.points if not diary.has(visit.round, visit.variant.name, it)]


class _Run(Struct, frozen=True):
    task: Task
    site: Site
    diary: Diary
    tell: Callable[[Visit, str], None]
    generator: Generator

    def visit(self, visit: Visit) -> None:
        """Measure what is missing; a variant that failed is not tried again."""
        name = visit.variant.name
        if self.diary.has_failed(name):
            return
        missing = _missing(self.task, self.diary, visit)
        try:
            if self.task.running:
                self._points(visit, missing)
            else:
                self._up_and_down(visit, missing)
        except NotMeasured as error:
            self.diary.note_failure(Failure(name, error.what))
            self.tell(visit, f"not measured: {error.what}")

    def _up_and_down(self, visit: Visit, points: Sequence[str]) -> None:
        self.tell(visit, "starts")
        try:
            self.site.bring_up(visit.variant.words, f"{self._file(visit)}-up")
            self._points(visit, points)
        finally:
            self.site.take_down(f"{self._file(visit)}-down")

    def _points(self, visit: Visit, points: Sequence[str]) -> None:
        status = self.site.status()
        if status is None or not status.get("endpoint") or not status.get("metrics_url"):
            raise NotMeasured("it has no endpoint")
        before = self.site.counters_at_rest(status["metrics_url"])
        for point in points:
            self.tell(visit, f"is measured{f' at {point} times the KV cache' if point else ''}")
            before = self._point(visit, point, status, before)

    def _point(self, visit: Visit, point: str, status: Mapping[str, Any], before: Samples) -> Samples:
        """Measure one; returns the counters after it."""
        number = visit.round * len(self.task.points) + self.task.points.index(point)
        load = self._load(visit, self._workload(point, before), number, status)
        if not load.answered:
            raise NotMeasured(f"no request was answered: {load.error}")
        after = self.site.counters_at_rest(status["metrics_url"])
        figures = {**figures_of(load, self.task.limits), **counted(before, after)}
        self.diary.note_round(Round(visit.round, visit.variant.name, point, figures, first_tokens(load.answered)))
        return after

    def _workload(self, point: str, counters: Samples) -> Workload:
        if not point:
            return self.task.workload
        if self.diary.notes.cache_tokens is None:
            tokens = cache_tokens(counters)
            if tokens is None:
                raise UsageError("the size of the KV cache is unknown", hint="use --users instead of --kv-pressure")
            self.diary.note_cache(tokens)
        return self.task.workload.under_pressure(float(point), self.diary.notes.cache_tokens or 0)

    def _load(self, visit: Visit, workload: Workload, number: int, status: Mapping[str, Any]) -> Load:
        tool, requests = self.task.tool, workload.requests(number)
        stem = self.site.folder / self._file(visit)
        if text := tool.text(requests):
            stem.with_name(f"{stem.name}.jsonl").write_text(text)
        target = Target(status["endpoint"], status["model"], self.task.variants[visit.variant].tokenizer)
        self.generator.run(tool.arguments(target, workload, requests, stem), self.task.round_timeout_s)
        try:
            return tool.load_of(Path(tool.result(stem)).read_text(), requests)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise NotMeasured(f"the load generator's report cannot be read: {error}") from None

    def _file(self, visit: Visit) -> str:
        return f"round-{visit.round}-variant-{list(self.task.variants).index(visit.variant) + 1}"
