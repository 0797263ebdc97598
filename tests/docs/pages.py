"""The pages of docs/, and the blocks in them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
_FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Block:
    page: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def pages(folder: str = "") -> list[Path]:
    return sorted((DOCS / folder).rglob("*.md"))


def blocks(page: Path) -> Iterator[Block]:
    return blocks_of(str(page.relative_to(ROOT)), page.read_text(encoding="utf-8"))


def blocks_of(name: str, text: str) -> Iterator[Block]:
    for found in _FENCED.finditer(text):
        yield Block(name, text.count("\n", 0, found.start()) + 1, found[1], found[2])
