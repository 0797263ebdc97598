"""`bench`: compare deployments under the same traffic."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path

from dynkv.bench.answer import Answer, answer
from dynkv.bench.diary import Diary, Failure, Head, Notes
from dynkv.bench.figures import Limits
from dynkv.bench.page import page
from dynkv.bench.run import Prepared, Task, measure
from dynkv.bench.site import Site
from dynkv.bench.variants import Variant, variants
from dynkv.bench.verdict import with_verdict
from dynkv.bench.workloads import Workload
from dynkv.cli.bench_answer import show_answer
from dynkv.cli.bench_generator import generator_of
from dynkv.cli.bench_options import (
    AgainstOption,
    ConcurrencyOption,
    ContextOption,
    GoodputOption,
    HtmlOption,
    OutOption,
    OutputOption,
    PressureOption,
    PriceOption,
    QuestionOption,
    RateOption,
    RoundsOption,
    SeedOption,
    SharedOption,
    SweepOption,
    TimeoutOption,
    ToolOption,
    TraceOption,
    TurnsOption,
    UntimedOption,
    UsersOption,
    WorkloadOption,
    WriteOption,
)
from dynkv.cli.bench_progress import Progress
from dynkv.cli.bench_variants import common_options, prepared, profile_of, running
from dynkv.cli.inherited import end_as_by_ctrl_c, finding_dynkv
from dynkv.cli.options import (
    DeviceOption,
    EngineOption,
    GpusOption,
    JsonOption,
    ModelOption,
    NoLMCacheOption,
    ProfileArgument,
    SetOption,
)
from dynkv.cli.report import note
from dynkv.cli.traces import read_trace
from dynkv.documents import encoded
from dynkv.errors import DynkvError, PreflightRefused, UsageError

NAME = "bench"
"""Name of the deployments that are brought up."""
_ROUND_S = 3600.0
_LIMITS = {"ttft": "ttft_s", "itl": "itl_s", "tpot": "itl_s", "e2e": "e2e_s", "e2el": "e2e_s"}
"""Names of limits, in milliseconds, as in `vllm bench serve --goodput`."""


class NothingMeasured(DynkvError):
    """No round was finished."""


def bench(
    profile: ProfileArgument,
    gpus: GpusOption = None,
    model: ModelOption = None,
    engine: EngineOption = None,
    device: DeviceOption = None,
    sets: SetOption = None,
    no_lmcache: NoLMCacheOption = False,
    against: AgainstOption = None,
    sweep: SweepOption = None,
    workload: WorkloadOption = "chat",
    trace: TraceOption = None,
    untimed: UntimedOption = False,
    users: UsersOption = 8,
    turns: TurnsOption = 4,
    context: ContextOption = 2000,
    shared: SharedOption = 256,
    question: QuestionOption = 64,
    output: OutputOption = 128,
    concurrency: ConcurrencyOption = 8,
    kv_pressure: PressureOption = None,
    goodput: GoodputOption = None,
    tool: ToolOption = "vllm",
    rate: RateOption = 1.0,
    rounds: RoundsOption = 5,
    seed: SeedOption = 0,
    timeout: TimeoutOption = None,
    out: OutOption = None,
    price: PriceOption = None,
    html: HtmlOption = None,
    write: WriteOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure deployments with the same requests, and say what differs beyond noise.

    Each is brought up, measured and taken down in turn, round after round, so that drift over time affects all of them
    alike; one that is already running is measured as it is. The stack's own load generators, or aiperf, make the load.
    Options of `up` apply to all of them, those in --against to that one.
    """
    chosen = variants(
        profile, common_options(gpus, model, engine, device, sets, no_lmcache), against or [], sweep or []
    )
    traffic = Workload(workload, users, turns, shared, context, question, output, concurrency, seed, rate)
    if trace is not None:
        traffic = Workload.of_trace(read_trace(trace), concurrency=concurrency, is_timed=not untimed, seed=seed)
    pressures = _pressures(kv_pressure, traffic)
    known, failures = _prepared(chosen)
    generator = generator_of(tool, traffic, pressures, [it.python for it in known.values()])
    task = Task(known, traffic, pressures, rounds, _limits(goodput), _ROUND_S, generator, running(chosen))
    words = traffic.described(is_pressed=bool(task.pressures))
    head = Head(tuple(it.name for it in chosen), task.points, words, generator.words, goodput or "")
    site = Site(task.running or NAME, out or _folder(), timeout, finding_dynkv(os.environ))
    notes = _measured(task, head, failures, site)
    found = with_verdict(answer(notes, price))
    _keep(found, site.folder, html)
    if write is not None:
        write.write_text(profile_of(next(it for it in chosen if it.name == (found.best or chosen[0].name))))
    _show(found, site.folder, as_json=as_json)


def _folder() -> Path:
    return Path(f"dynkv-bench-{datetime.now():%Y%m%d-%H%M%S}")


def _prepared(chosen: tuple[Variant, ...]) -> tuple[Mapping[Variant, Prepared], list[Failure]]:
    """The variants that can be planned here, and why the others cannot."""
    known, failures = {}, []
    for it in chosen:
        try:
            known[it] = prepared(it)
        except PreflightRefused as error:
            failures.append(Failure(it.name, error.what))
    return known, failures


def _measured(task: Task, head: Head, failures: Iterable[Failure], site: Site) -> Notes:
    """Measure; Ctrl-C or another ending signal keeps the finished rounds and leaves nothing running."""
    diary = Diary(site.folder / "rounds.jsonl", head)
    for failure in failures:
        diary.note_failure(failure)
    end_as_by_ctrl_c()
    try:
        measure(task, site, diary, Progress(task, diary).tell)
    except KeyboardInterrupt:
        note(f"interrupted: --out {site.folder} continues from {len(diary.notes.rounds)} finished rounds")
        raise
    return diary.notes


def _keep(found: Answer, folder: Path, html: Path | None) -> None:
    if not found.rows:
        raise NothingMeasured("nothing was measured", detail="\n".join(f"  {it}" for it in found.sentences))
    (folder / "answer.json").write_bytes(encoded(found))
    if html is not None:
        html.write_text(page(found), encoding="utf-8")


def _show(found: Answer, folder: Path, *, as_json: bool) -> None:
    if as_json:
        print(encoded(found).decode())  # noqa: T201 (one document and nothing else)
        return
    show_answer(found)
    note(f"rounds, logs and answer.json are in {folder}")


def _pressures(text: str | None, traffic: Workload) -> tuple[float, ...]:
    if text is None:
        return ()
    traffic.under_pressure(1.0, 1)  # refuses a workload without a working set
    if not re.fullmatch(r"\d+(\.\d+)?(,\d+(\.\d+)?)*", text) or not all(map(float, text.split(","))):
        raise UsageError(f"--kv-pressure {text!r} is not a list of multiples", hint="for example --kv-pressure 0.5,1,2")
    return tuple(dict.fromkeys(map(float, text.split(","))))


def _limits(text: str | None) -> Limits:
    found = {}
    for pair in text.split(",") if text else ():
        name, _, value = pair.partition(":")
        if name not in _LIMITS or not re.fullmatch(r"\d+(\.\d+)?", value):
            raise UsageError(f"--goodput {pair!r} is not a limit", hint="for example --goodput ttft:2000,itl:25, in ms")
        found[_LIMITS[name]] = float(value) / 1000
    return Limits(**found)
