"""`record`: a deployment's traffic, as a trace for `bench` to replay and `advise` to compute from."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from dynkv.bench.recorder import Recorder
from dynkv.bench.trace import Trace
from dynkv.cli.deployments import Deployment, find
from dynkv.cli.inherited import end_as_by_ctrl_c
from dynkv.cli.options import NameArgument, seconds
from dynkv.cli.report import note, say
from dynkv.cli.traces import read_trace
from dynkv.errors import DynkvError, NotRunning, PreflightRefused, UsageError
from dynkv.plan.frontend import NAME, RECORDS_TO
from dynkv.plan.model import Plan

_POLL_S = 0.2
_LAST_LINES_S = 1.0
"""Time for the last lines: the frontend writes a request a quarter of a second after its end."""
_LOOK_S = 2.0


class NothingRecorded(DynkvError):
    """No request was recorded."""


def record(
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="The file to write the trace to; must not exist.")],
    name: NameArgument = None,
    for_s: Annotated[
        float | None,
        typer.Option("--for", parser=seconds, metavar="SECONDS", help="How long to record; until Ctrl-C if omitted."),
    ] = None,
) -> None:
    """Record a deployment's traffic: when requests came, how long they were, which prompt blocks were the same.

    It records no text, only a hash of each block with a key that is thrown away. `dynkv bench --trace` replays the
    trace, and `dynkv advise` computes from it what caches would have found. The frontend must have been started with
    --set frontend.record=true.
    """
    deployment = find(name)
    plan = _recordable(deployment)
    end_as_by_ctrl_c()
    recorder = _begun(deployment, out)
    try:
        note(f"recording {plan.name} into {out}" + (" until Ctrl-C" if for_s is None else f" for {for_s:g} s"))
        with suppress(KeyboardInterrupt):
            _record(recorder, deployment, for_s)
        _take_the_last(recorder)
    finally:
        recorder.close()
    _tell(recorder, plan, out)


def _recordable(deployment: Deployment) -> Plan:
    """The deployment's plan. Raises NotRunning, or PreflightRefused if the frontend writes no record."""
    name, journal = deployment.place.name, deployment.journal
    if journal is None or journal.stopped or journal.plan is None:
        raise NotRunning(name)
    units = [unit for unit in journal.plan.units if unit.name == NAME]
    if not units:
        raise PreflightRefused(f"{name} has no frontend to record")
    to = units[0].env.get(RECORDS_TO)
    if to is None:
        raise PreflightRefused(
            f"the frontend of {name} does not record its requests",
            hint=f"`dynkv up {journal.plan.profile} --name {name} --set frontend.record=true`, with the options that "
            "it was started with, restarts the frontend alone",
        )
    if to != str(deployment.place.requests):
        raise PreflightRefused(
            f"the frontend of {name} records to another file already", hint=f"remove {RECORDS_TO} from its env"
        )
    return journal.plan


def _begun(deployment: Deployment, out: Path) -> Recorder:
    try:
        return Recorder(deployment.place.requests, out, time.time() * 1000)
    except FileExistsError:
        raise UsageError(f"{out} already exists", hint="name another file with --out") from None
    except OSError as error:
        raise UsageError(f"{out} cannot be written: {error.strerror}") from None


def _record(recorder: Recorder, deployment: Deployment, for_s: float | None) -> None:
    """Record until the time is up or the deployment is down."""
    began = looked = time.monotonic()
    while not recorder.is_full:
        recorder.take()
        now = time.monotonic()
        if for_s is not None and now >= began + for_s:
            return
        if now >= looked + _LOOK_S:
            looked, journal = now, deployment.fresh_journal()
            if journal is None or journal.stopped:
                note(f"{deployment.place.name} is down")
                return
        time.sleep(_POLL_S if for_s is None else max(0.0, min(_POLL_S, began + for_s - now)))
    note(f"a trace cannot have more than {recorder.requests:,} requests")


def _take_the_last(recorder: Recorder) -> None:
    """Take the last lines; a second Ctrl-C skips the wait for them."""
    with suppress(KeyboardInterrupt):
        time.sleep(_LAST_LINES_S)
    recorder.take()


def _tell(recorder: Recorder, plan: Plan, out: Path) -> None:
    passed = recorder.passed
    if passed.other_blocks:
        note(f"{passed.other_blocks:,} requests are left out: the frontend restarted with another block size")
    if not recorder.requests:
        log = f"`dynkv logs {NAME} --name {plan.name} --grep trace` shows whether it could not write"
        why = f"{passed.without_blocks:,} had no blocks" if passed.without_blocks else "no request ended meanwhile"
        raise NothingRecorded(f"nothing was recorded: {why}", hint=log)
    say(_summary(read_trace(out)))
    say(f"replay it: dynkv bench {plan.profile} --trace {out}")
    say(f"what caches would find: dynkv advise {plan.profile} --trace {out}")


def _summary(trace: Trace) -> str:
    found = trace.figures()
    repeats = "" if found.repeated is None else f", of which {found.repeated:.0%} repeat what an earlier one began with"
    requests = "1 request" if found.requests == 1 else f"{found.requests:,} requests"
    return (
        f"{requests} in {found.seconds:.1f} s: {found.input_tokens:,} tokens of prompts{repeats}, and "
        f"{found.output_tokens:,} of answers"
    )
