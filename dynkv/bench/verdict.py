"""What a person can act on: sentences about what differs, and which variant to use. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from dynkv.bench.answer import Against, Answer, Row
from dynkv.bench.compare import Verdict

_GIB = 1024**3
_EVICTS_FROM = 0.6
"""Share of L1: from 80 % on it evicts a fifth (lmcache 0.5.6, --eviction-trigger-watermark, --eviction-ratio), so
above this it may have done so."""
AIMS = ("goodput_per_s", "ttft_p50_s", "e2e_p50_s", "output_tokens_per_s")
"""The first of these that was measured decides; the others matter if that one is equal."""


def with_verdict(answer: Answer) -> Answer:
    """The answer with its sentences, its verdict, and the variant to use."""
    best, verdict = _verdict(answer)
    held = _held(answer, best or answer.variants[0])
    verdict = f"{verdict} {held}" if verdict and held else verdict
    return msgspec.structs.replace(answer, sentences=tuple(_sentences(answer)), verdict=verdict, best=best)


def _sentences(answer: Answer) -> Iterator[str]:
    first = answer.variants[0]
    for point in answer.points:
        for name in answer.variants[1:]:
            rows = [row for row in answer.rows if row.point == point and name in row.against]
            yield from (_difference(row, name, first) for row in rows if _differs(row.against[name]))
            if equal := [row.words for row in rows if row.against[name].verdict == Verdict.EQUAL]:
                yield f"{name} is equal to {first}{_at(point)} in: {', '.join(equal)}."
            if unknown := [row for row in rows if row.against[name].verdict == Verdict.UNKNOWN]:
                words = ", ".join(row.words for row in unknown)
                rounds = max(row.values[name].rounds for row in unknown)
                yield f"{_rounds(rounds)} not tell whether {name} differs from {first}{_at(point)} in: {words}."
    for failure in answer.failures:
        yield f"{failure.variant} was not measured: {failure.reason}"


def _rounds(count: int) -> str:
    return "One round does" if count == 1 else f"{count} rounds do"


def _differs(it: Against) -> bool:
    return it.verdict in (Verdict.LOWER, Verdict.HIGHER)


def _difference(row: Row, name: str, first: str) -> str:
    it = row.against[name]
    value, base = (f"{row.values[variant].median:.3g}{f' {row.unit}' if row.unit else ''}" for variant in (name, first))
    share = abs(it.ratio - 1)
    much = f"{it.ratio:.1f} times as high" if it.ratio >= 2 else f"{share:.0%} {it.verdict}"
    judged = "better" if it.is_better else "worse"
    return (
        f"{row.words[:1].upper()}{row.words[1:]}{_at(row.point)}: {much} with {name}, {value} against {base} "
        f"with {first}; {judged} (ratio {it.low:.2f} to {it.high:.2f})."
    )


def _at(point: str) -> str:
    return f" at {point} times the GPU's KV cache" if point else ""


# --- which to use ---


def _verdict(answer: Answer) -> tuple[str, str]:
    """The variant to use, if not the first, and why."""
    first, others = answer.variants[0], answer.variants[1:]
    if not others:
        return "", ""
    for aim in AIMS:
        rows = [row for row in answer.rows if row.figure == aim]
        better = {name: gain for name in others if (gain := _gain(rows, name)) is not None}
        if not better:
            continue
        best = max(better, key=lambda name: better[name])
        if better[best] > 0:
            return best, _reason(best, first, rows)
    if losers := [lost for name in others if (lost := _loses(name, answer))]:
        return "", f"On this traffic, {first} is the one to use: {'; '.join(losers)}."
    return "", f"On this traffic, nothing measured is better than {first} beyond noise."


def _gain(rows: Sequence[Row], name: str) -> float | None:
    """How much more often it is better than worse; None if it differs nowhere."""
    known = [row.against[name].is_better for row in rows if name in row.against]
    if not any(it is not None for it in known):
        return None
    return float(sum({True: 1, False: -1, None: 0}[it] for it in known))


def _reason(name: str, first: str, rows: Sequence[Row]) -> str:
    better = [row for row in rows if name in row.against and row.against[name].is_better]
    worse = [row for row in rows if name in row.against and row.against[name].is_better is False]
    text = f"On this traffic, use {name}: {_shares(better, name)} than with {first}"
    return f"{text}, but {_shares(worse, name)}." if worse else f"{text}."


def _loses(name: str, answer: Answer) -> str:
    for aim in AIMS:
        rows = [row for row in answer.rows if row.figure == aim]
        if worse := [row for row in rows if name in row.against and row.against[name].is_better is False]:
            return f"with {name} {_shares(worse, name)}"
    return ""


def _held(answer: Answer, name: str) -> str:
    """Whether L1 holds what this traffic stores; empty without a sidecar, or if unknown."""
    used, sizes = (
        {row.point: row.values[name] for row in answer.rows if row.figure == figure and name in row.values}
        for figure in ("l1_used_bytes", "l1_size_bytes")
    )
    if not used or not sizes:
        return ""
    most, size = max(it.high for it in used.values()), max(it.median for it in sizes.values())
    l1 = f"L1 of {size / _GIB:.3g} GiB"
    if most < _EVICTS_FROM * size:
        return f"{l1} holds it: at most {most / _GIB:.3g} GiB were used."
    full = [point for point, it in used.items() if it.high >= _EVICTS_FROM * size and point]
    where = f" from {full[0]} times the GPU's KV cache on" if full else ""
    share = f"up to {most / size:.0%} of it were used"
    return f"{l1} may not hold it{where}: {share}. Try a larger one, or see `dynkv advise`."


def _shares(rows: Sequence[Row], name: str) -> str:
    """For example `median time to first token is 38% lower`, and at which points."""
    ratios = [abs(row.against[name].ratio - 1) for row in rows]
    least, most = f"{min(ratios):.0%}", f"{max(ratios):.0%}"
    much = most if least == most else f"{least} to {most}"
    points = [row.point for row in rows if row.point]
    where = "" if not points else f" at {', '.join(points)} times the GPU's KV cache"
    return f"{rows[0].words} is {much} {rows[0].against[name].verdict}{where}"
