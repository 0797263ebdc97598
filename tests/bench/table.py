"""A run as JSON and as Markdown: all of it, its medians for the page of measurements, and a few rows for README.md."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from .figures import Figure, Samples

Part = dict[str, Any]
"""One part of the results, as stored in results.json."""


def part(
    figures: Sequence[Figure],
    subjects: Sequence[str],
    samples: Samples,
    *,
    date: str,
    machine: dict[str, str],
    versions: dict[str, str],
    notes: Sequence[str],
    reference: str = "",
) -> Part:
    """`subjects` are in the order of the columns; the figures of the others are also shown as a multiple of those of
    the `reference`, if any."""
    return {
        "date": date,
        "machine": machine,
        "versions": versions,
        "subjects": list(subjects),
        "reference": reference,
        "figures": [
            {
                "key": figure.key,
                "title": figure.title,
                "digits": figure.digits,
                "note": figure.note,
                "values": {
                    subject: _summary(samples.values[figure.key, subject])
                    for subject in subjects
                    if samples.values.get((figure.key, subject))
                },
            }
            for figure in figures
        ],
        "notes": list(notes),
        "failures": samples.failures,
    }


def write(directory: Path, parts: dict[str, Part]) -> None:
    """Write results.json, results.md and the pages that show them; parts that were not measured now stay as they
    were."""
    directory.mkdir(parents=True, exist_ok=True)
    file = directory / "results.json"
    before: dict[str, Part] = json.loads(file.read_text()) if file.exists() else {}
    every = {**before, **parts}
    file.write_text(json.dumps(every, indent=1, ensure_ascii=False) + "\n")
    (directory / "results.md").write_text(markdown(every))
    for name, chosen in SHOWN.items():
        page = directory.parents[1] / name
        if page.exists() and BEGIN in (text := page.read_text()):
            page.write_text(with_medians(text, every, chosen))


_TITLES = {
    "supervisors": "Beside other supervisors",
    "answers": "Answers to what is typed",
    "stack": "The real stack beside a launch script",
}


def markdown(parts: dict[str, Part]) -> str:
    head = (
        "# Measured by `make bench`\nMedians, with the lowest and the highest value in parentheses where they differ.\n"
    )
    return "\n".join([head, *(_section(_TITLES[name], parts[name]) for name in _TITLES if name in parts)])


BEGIN, END = "<!-- measured by make bench -->\n", "<!-- end -->"
_IN_SHORT = (
    "memory with 10 children, MB",
    "restart after `kill -9` of a child, ms",
    "log flood, MB/s (more is better)",
    "grandchildren left of 3 after `kill -9` of their parents: same group",
    "… own session",
    "children of 10 alive after `kill -9` of the supervisor (more is better)",
    "children twice, of 10, after it was started again",
)
SHOWN: dict[str, tuple[str, ...] | None] = {"docs/explanation/measurements.md": None, "README.md": _IN_SHORT}
"""The pages with medians between two marks, and which rows they show: all, or these, each once."""


def with_medians(page: str, parts: dict[str, Part], chosen: Collection[str] | None) -> str:
    """The page with new medians between its two marks: of all figures, or of those whose titles are `chosen`."""
    before, rest = page.split(BEGIN)
    after = rest.split(END, 1)[1]
    tables = [_medians(parts[name], chosen) for name in _TITLES if name in parts]
    return before + BEGIN + "\n".join(filter(None, tables)) + END + after


def _medians(one: Part, chosen: Collection[str] | None) -> str:
    """Empty if no figure is chosen."""
    figures = {it["title"]: it for it in reversed(one["figures"]) if chosen is None or it["title"] in chosen}
    rows = one["figures"] if chosen is None else [*reversed(figures.values())]
    lines = [
        f"| | {' | '.join(one['subjects'])} |",
        f"|---|{'---|' * len(one['subjects'])}",
        *(_row(figure, one, with_range=False) for figure in rows),
    ]
    return "\n".join(lines) + "\n" if rows else ""


def _section(title: str, one: Part) -> str:
    machine = one["machine"]
    where = f"{one['date']}, {machine['cpu']}, {machine['memory']}, {machine['kernel']}, {machine['system']}"
    versions = ", ".join(f"{name} {version}" for name, version in one["versions"].items())
    lines = [
        f"## {title}",
        f"{where}, Python {machine['python']}: {versions}.",
        "",
        f"| | {' | '.join(one['subjects'])} |",
        f"|---|{'---|' * len(one['subjects'])}",
        *(_row(figure, one) for figure in one["figures"]),
        "",
        *(f"- {note}" for note in [*(f["note"] for f in one["figures"] if f["note"]), *one["notes"]]),
        *(f"- Failed: {failure}" for failure in one["failures"]),
    ]
    return "\n".join(lines) + "\n"


def _row(figure: dict[str, Any], one: Part, *, with_range: bool = True) -> str:
    reference = one.get("reference", "")
    compared = figure["values"].get(reference)
    cells = [
        _cell(figure["values"].get(subject), figure["digits"], None if subject == reference else compared, with_range)
        for subject in one["subjects"]
    ]
    return f"| {figure['title']} | {' | '.join(cells)} |"


def _cell(summary: dict[str, Any] | None, digits: int, compared: dict[str, Any] | None, with_range: bool) -> str:
    if summary is None:
        return "-"
    middle, low, high = (f"{summary[key]:,.{digits}f}" for key in ("median", "min", "max"))
    text = middle if low == high or not with_range else f"{middle} ({low} to {high})"
    if compared is None or not compared["median"]:
        return text
    return f"{text} = {summary['median'] / compared['median']:.2f} x"


def _summary(values: Sequence[float]) -> dict[str, Any]:
    rounded = [round(value, 4) for value in values]
    return {"median": median(rounded), "min": min(rounded), "max": max(rounded), "values": rounded}
