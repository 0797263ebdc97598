"""Arguments of the workers, judged by what the installed stack's own parsers make of them. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from dynkv.doctor.findings import Case, Finding, finding
from dynkv.profile.arguments import worker_problems


def checks(case: Case) -> Iterator[Finding]:
    """Only where the stack knows other options than those by which the profile was judged."""
    table = case.facts.worker_options
    if table is None:
        return
    for key, args in case.profile.worker_args_by_key.items():
        for problem in worker_problems(args, table):
            yield finding(
                "argument-planned",
                problem,
                "the installed stack reads it so, and the last of two arguments counts",
                "leave it out",
                case.loaded.where(*key),
            )
