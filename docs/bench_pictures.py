"""Draws docs/pictures/bench-*.svg from the rounds in docs/measured, and prints their tables for measurements.md.

    python docs/bench_pictures.py

The rounds are those that `dynkv bench` wrote to its --out. Needs the extra `bench`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

DOCS = Path(__file__).parent
sys.path.insert(0, str(DOCS.parent))

from dynkv.bench.answer import Answer, Row, answer  # noqa: E402 (found beside this directory)
from dynkv.bench.diary import Diary, Head  # noqa: E402
from dynkv.bench.page import drawings  # noqa: E402

_ROWS = {"ttft_p50_s": 2, "itl_p50_s": 3, "output_tokens_per_s": 0, "gpu_hit_rate": 0, "sidecar_hit_rate": 0}
"""Figures of the table, with their decimals."""


def main() -> None:
    for file in sorted((DOCS / "measured").glob("*.jsonl")):
        found = measured(file)
        (DOCS / "pictures" / f"bench-{file.stem}-ttft.svg").write_text(next(drawings(found)))
        sys.stdout.write("\n".join([f"{found.workload}; cache {found.cache_tokens}", *table(found), "", ""]))


def measured(file: Path) -> Answer:
    text = file.read_bytes()
    head = msgspec.convert(json.loads(text.splitlines()[0])["head"], Head)
    with TemporaryDirectory() as out:  # a diary repairs its file
        copy = Path(out) / file.name
        copy.write_bytes(text)
        return answer(Diary(copy, head).notes)


def table(found: Answer) -> list[str]:
    lines = [f"| KV cache | figure | {' | '.join(found.variants)} |", "|---" * (len(found.variants) + 2) + "|"]
    return lines + [_line(row, found.variants) for row in found.rows if row.figure in _ROWS]


def _line(row: Row, variants: tuple[str, ...]) -> str:
    cells = []
    for name in variants:
        value, digits = row.values.get(name), _ROWS[row.figure]
        low, high = (f"{it:,.{digits}f}" for it in (value.low, value.high)) if value else ("", "")
        cells.append(low if low == high else f"{low} to {high}")
    return f"| {row.point} | {row.words}{f', {row.unit}' if row.unit else ''} | {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
