"""The table of the monkey's rounds."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from statistics import median, quantiles

from .monkey import Blow
from .traffic import Request


def table(blows: Sequence[Blow], requests: Sequence[Request]) -> str:
    """Rounds by kind of target: how many, time to ready in seconds, and requests that failed meanwhile."""
    by_kind: dict[str, list[Blow]] = defaultdict(list)
    for blow in blows:
        kinds = sorted({victim.split("/")[-1].rstrip("-0123456789") for victim in blow.victims})
        by_kind[" + ".join(kinds)].append(blow)
    lines = [f"{'killed at once':44} {'rounds':>6} {'kills':>5} {'median':>7} {'p95':>7} {'worst':>7} {'failed':>6}"]
    lines += [_line(kind, some, requests) for kind, some in sorted(by_kind.items())]
    lines.append(_line("all", blows, requests))
    errors = Counter(one.error.partition(":")[0] for one in requests if one.error is not None)
    lines.append(f"{len(requests)} requests, {errors.total()} failed: {dict(errors)}")
    return "\n".join(lines)


def _line(kind: str, blows: Sequence[Blow], requests: Sequence[Request]) -> str:
    times = sorted(blow.ready_after_s for blow in blows)
    p95 = quantiles(times, n=20, method="inclusive")[-1] if len(times) > 1 else times[0]
    failed = sum(len(failed_during(blow, requests)) for blow in blows)
    kills = sum(blow.kills for blow in blows)
    return f"{kind:44} {len(blows):6} {kills:5} {median(times):7.2f} {p95:7.2f} {times[-1]:7.2f} {failed:6}"


def failed_during(blow: Blow, requests: Sequence[Request]) -> list[Request]:
    """Failed requests that were in progress at some moment between the kill and ready."""
    until = blow.at + blow.ready_after_s
    return [one for one in requests if one.error is not None and one.began <= until and one.ended >= blow.at]
