"""A benchmark's result as one HTML file, with charts by matplotlib. Its only I/O is importing that."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from io import StringIO
from typing import Any

from dynkv.bench.answer import Answer, Row
from dynkv.extras import missing

_CURVES = ("ttft_p50_s", "output_tokens_per_s", "gpu_hit_rate", "sidecar_hit_rate")
_STYLE = """body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; font-size: .9rem; } td, th { padding: .2rem .8rem; text-align: right; }
th { border-bottom: 1px solid #999; } td.words, th.words { text-align: left; } svg { max-width: 100%; height: auto; }
.wide { overflow-x: auto; }"""


def page(answer: Answer) -> str:
    """The page. Raises UsageError without matplotlib."""
    parts = [
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{escape(' / '.join(answer.variants))}</title>",
        f"<meta name=viewport content='width=device-width'><style>{_STYLE}</style>",
        f"<h1>{escape(answer.verdict or 'Measured')}</h1>",
        f"<p>{escape(answer.workload)}. Load by {escape(answer.tool)}.</p>",
        *(f"<p>{escape(it)}</p>" for it in answer.sentences),
        *drawings(answer),
        *_table(answer),
        "</html>",
    ]
    return "\n".join(parts)


def drawings(answer: Answer) -> Iterator[str]:
    """Charts in SVG: each figure by pressure if there is more than one, and first tokens by label."""
    if len(answer.points) > 1:
        for name in _CURVES:
            if rows := [row for row in answer.rows if row.figure == name]:
                yield _drawn(lambda axes, rows=rows: _curve(axes, rows, answer))
    for point in answer.points:
        if any(it.point == point for it in answer.first_tokens):
            yield _drawn(lambda axes, point=point: _bars(axes, point, answer))


def _drawn(draw: Any) -> str:
    try:
        from matplotlib import rc_context
        from matplotlib.figure import Figure
    except ImportError:
        raise missing("--html", "matplotlib", "bench") from None
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "dynkv"}):
        figure = Figure(figsize=(8, 3.6), layout="constrained")
        draw(figure.subplots())
        text = StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue().partition("?>")[2].partition('dtd">')[2]


def _curve(axes: Any, rows: list[Row], answer: Answer) -> None:
    for name in answer.variants:
        found = [(float(row.point), row.values[name]) for row in rows if name in row.values]
        middle = [value.median for _, value in found]
        spread = [[value.median - value.low for _, value in found], [value.high - value.median for _, value in found]]
        axes.errorbar([point for point, _ in found], middle, yerr=spread, marker="o", capsize=3, label=name)
    axes.set_xscale("log", base=2)
    axes.set_xticks([float(it) for it in answer.points], answer.points)
    axes.set_xlabel("working set, as a multiple of the GPU's KV cache")
    _named(axes, f"{rows[0].words}{f', {rows[0].unit}' if rows[0].unit else ''}")


def _bars(axes: Any, point: str, answer: Answer) -> None:
    rows = [it for it in answer.first_tokens if it.point == point]
    width = 0.8 / len(answer.variants)
    for number, name in enumerate(answer.variants):
        places = [place + (number - (len(answer.variants) - 1) / 2) * width for place in range(len(rows))]
        axes.bar(places, [row.seconds.get(name, 0.0) for row in rows], width, label=name)
    axes.set_xticks(range(len(rows)), [row.label for row in rows])
    _named(axes, "median time to first token, s" + (f", at {point} times the GPU's KV cache" if point else ""))


def _named(axes: Any, title: str) -> None:
    axes.set_title(title)
    axes.set_ylim(bottom=0)
    axes.grid(visible=True, alpha=0.3)
    axes.legend()


def _table(answer: Answer) -> Iterator[str]:
    first, *others = answer.variants
    heads = [*answer.variants, *(f"{name} / {first}" for name in others)]
    yield "<div class=wide><table><tr><th class=words>KV cache</th><th class=words></th>"
    yield "".join(f"<th>{escape(it)}</th>" for it in heads) + "</tr>"
    for row in answer.rows:
        words = escape(f"{row.words}{f', {row.unit}' if row.unit else ''}")
        yield f"<tr><td class=words>{escape(row.point)}</td><td class=words>{words}</td>"
        yield "".join(f"<td>{_value(row, name)}</td>" for name in answer.variants)
        yield "".join(f"<td>{row.against[name].words if name in row.against else ''}</td>" for name in others) + "</tr>"
    yield "</table></div>"


def _value(row: Row, name: str) -> str:
    value = row.values.get(name)
    return "" if value is None else f"{value.median:.4g} ({value.low:.3g} to {value.high:.3g})"
