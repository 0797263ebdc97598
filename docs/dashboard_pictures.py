"""Draws docs/pictures/dynkv-*.svg: what the dashboards of `dynkv observe` show, from the same queries.

    python docs/dashboard_pictures.py

Brings up a deployment on the CPU, asks it for a few minutes, kills a worker meanwhile, and has a Prometheus read
its figures. It needs the tests' packages and Debian's prometheus. Panels about what this host does not have stay empty.
"""

from __future__ import annotations

import html
import json
import math
import os
import signal
import sys
import tempfile
import time
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from threading import Event, Thread

ROOT = Path(__file__).parents[1]
sys.path += [str(ROOT / "tests"), str(ROOT / "tests" / "observe")]

import openai  # noqa: E402 (with what is found beside the tests)
from stack.asking import complete, prompt  # noqa: E402
from stack.harness import Dynkv, fresh_dynkv, unit  # noqa: E402
from watching import Prometheus, watched  # noqa: E402

from dynkv.observe.panels import DASHBOARDS, Dashboard, Panel, Query  # noqa: E402

PICTURES = ROOT / "docs" / "pictures"
_MINUTES, _STEP_S = 4.0, 3
_PROMPTS, _PROMPT_TOKENS = 20, 300
"""Longer than one of LMCache's chunks."""
_CELL, _LINE = 52, 30
_GAP = 8
_COLOURS = ("#4c9be8", "#e8a04c", "#67c587", "#d9646c", "#a98be0", "#5cc3c7", "#c7b35c", "#999999")
_SCALES = {
    "bytes": (1e9, "GB"),
    "Bps": (1e6, "MB/s"),
    "percentunit": (0.01, "%"),
    "s": (1.0, "s"),
    "watt": (1.0, "W"),
    "celsius": (1.0, "°C"),
}
_STYLE = (
    "text{font:12px sans-serif;fill:#d8d9da}.t{font-weight:600}.d{fill:#8e9297;font-size:10px}"
    ".n{font-size:26px;fill:#67c587}.h{font-size:14px;font-weight:600}"
)


@dataclass(frozen=True)
class Curve:
    name: str
    points: list[tuple[float, float]]


def main() -> None:
    with fresh_dynkv() as dynkv, tempfile.TemporaryDirectory() as out:
        dynkv.up("agg", "--device", "cpu", "--model", "tiny", timeout_s=300)
        dynkv.do("observe", "--out", out)
        with watched(Path(out)) as prometheus:
            began = time.time()
            _use(dynkv)
            for dashboard in DASHBOARDS:
                picture = _drawn(dashboard, prometheus, began, time.time())
                (PICTURES / f"{dashboard.uid}.svg").write_text(picture, encoding="utf-8")


def _use(dynkv: Dynkv) -> None:
    """Run three clients; the worker is killed halfway."""
    over = Event()
    clients = [Thread(target=_ask, args=(dynkv, over, 0.3 + 0.4 * number)) for number in range(3)]
    for client in clients:
        client.start()
    time.sleep(_MINUTES * 30)
    os.kill(unit(dynkv.status(), "worker-0")["pid"], signal.SIGKILL)
    time.sleep(_MINUTES * 30)
    over.set()
    for client in clients:
        client.join()


def _ask(dynkv: Dynkv, over: Event, pause_s: float) -> None:
    for number in count():
        if over.wait(pause_s):
            return
        try:
            complete(dynkv.endpoint, "tiny", prompt(_PROMPT_TOKENS, seed=number % _PROMPTS))
        except openai.OpenAIError:
            time.sleep(1.0)  # the worker is restarting


def _curves(query: Query, prometheus: Prometheus, since: float, until: float) -> Iterator[Curve]:
    expr = query.expr
    for variable, value in (("$deployment", "agg"), ("$unit", "worker-0"), ("$__rate_interval", "20s")):
        expr = expr.replace(variable, value)
    asked = urllib.parse.urlencode({"query": expr, "start": since, "end": until, "step": _STEP_S})
    for series in prometheus.get(f"/api/v1/query_range?{asked}")["result"]:
        name = query.legend
        for label, text in series["metric"].items():
            name = name.replace(f"{{{{{label}}}}}", text)
        points = [(float(at), float(value)) for at, value in series["values"] if value not in ("NaN", "+Inf", "-Inf")]
        if points:
            yield Curve(name, points)


def _drawn(dashboard: Dashboard, prometheus: Prometheus, since: float, until: float) -> str:
    parts, top = [], 0
    for row in dashboard.rows:
        parts.append(f'<text class="h" x="{_GAP}" y="{top + 20}">{html.escape(row.title)}</text>')
        top, left = top + _LINE, 0
        for panel in row.panels:
            wide, high = panel.width * _CELL - _GAP, panel.height * _LINE - _GAP
            curves = [it for query in panel.queries for it in _curves(query, prometheus, since, until)]
            inside = _panel(panel, curves, (since, until), (wide, high))
            parts.append(f'<g transform="translate({left + _GAP},{top})">{inside}</g>')
            left += panel.width * _CELL
        top += max(panel.height for panel in row.panels) * _LINE
    wide = 24 * _CELL + _GAP
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {top}"><style>{_STYLE}</style>'
    return f'{head}<rect width="{wide}" height="{top}" fill="#111217"/>\n' + "\n".join(parts) + "\n</svg>\n"


def _panel(panel: Panel, curves: list[Curve], span: tuple[float, float], size: tuple[int, int]) -> str:
    wide, high = size
    parts = [f'<rect width="{wide}" height="{high}" rx="3" fill="#181b1f"/>']
    parts.append(f'<text class="t" x="8" y="17">{html.escape(panel.title)}</text>')
    if not curves:
        parts.append(f'<text class="d" x="{wide / 2}" y="{high / 2}" text-anchor="middle">No data</text>')
    elif panel.is_number:
        newest = max(curves, key=lambda it: it.points[-1][0])
        words = newest.name or _shown(newest.points[-1][1], panel.unit)
        at = f'x="{wide / 2}" y="{high * 0.65}" text-anchor="middle"'
        parts.append(f'<text class="n" {at}>{html.escape(words)}</text>')
    else:
        parts.append(_lines(panel, curves, span, size))
    return "".join(parts)


def _lines(panel: Panel, curves: list[Curve], span: tuple[float, float], size: tuple[int, int]) -> str:
    wide, high = size
    left, bottom, top = 52, high - 22, 26
    highest = max(value for curve in curves for _, value in curve.points)
    most, parts = highest or 1.0, []
    for share in (0.0, 0.5, 1.0) if highest else (0.0,):
        y = bottom - share * (bottom - top)
        parts.append(f'<path d="M{left} {y:.0f}H{wide - 8}" stroke="#2c3235"/>')
        at = f'x="{left - 4}" y="{y + 3:.0f}" text-anchor="end"'
        parts.append(f'<text class="d" {at}>{_shown(share * most, panel.unit)}</text>')
    across, up = (wide - left - 8) / (span[1] - span[0]), (bottom - top) / most
    for number, curve in enumerate(curves[: len(_COLOURS)]):
        steps, before = [], -math.inf
        for moment, value in curve.points:
            goes_on = moment - before <= _STEP_S * 1.5  # a gap where there is no sample
            steps.append(f"{'L' if goes_on else 'M'}{left + (moment - span[0]) * across:.1f} {bottom - value * up:.1f}")
            before = moment
        path = "".join(steps)
        parts.append(f'<path d="{path}" fill="none" stroke="{_COLOURS[number]}" stroke-width="1.5"/>')
    parts.append(_legend(curves, high))
    return "".join(parts)


def _legend(curves: list[Curve], high: int) -> str:
    named = zip(curves, _COLOURS, strict=False)
    words = "  ".join(f'<tspan fill="{colour}">●</tspan> {html.escape(curve.name)}' for curve, colour in named)
    return f'<text class="d" x="8" y="{high - 6}">{words}</text>'


def _shown(value: float, unit: str) -> str:
    divisor, name = _SCALES.get(unit, (1.0, ""))
    if unit == "s" and 0 < value < 1:
        divisor, name = 0.001, "ms"
    elif unit == "bytes" and 0 < value < 1e8:
        divisor, name = 1e6, "MB"
    return f"{value / divisor:.3g} {name}".strip()


if __name__ == "__main__":
    main()
    sys.stdout.write(json.dumps([f"{it.uid}.svg" for it in DASHBOARDS]) + "\n")
