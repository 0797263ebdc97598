"""The terminal pictures contain what is on the screen, and nothing of this machine or from the network."""

from __future__ import annotations

import re
from pathlib import Path

import pyte
import pytest
from pictures import PICTURES, is_private, svg

FOLDER = sorted(PICTURES.glob("*.svg"))


def test_a_picture_has_the_text_and_the_colours_of_the_screen() -> None:
    screen = pyte.Screen(20, 2)
    pyte.Stream(screen).feed("\x1b[1;32mready\x1b[0m  now\r\n")
    rows = [[screen.buffer[0][x] for x in range(20)]]
    made = svg("sample", ["status"], rows)
    assert "dynkv&#160;status" in made
    assert re.search(r'<text class="sample-r\d"[^>]*>ready</text>', made)
    assert re.search(r"\.sample-r\d { fill: #\w{6};font-weight: bold }", made)
    assert "&#160;&#160;now" in made


def test_there_is_one_of_each() -> None:
    assert [path.stem for path in FOLDER] == [
        "bench-h200-chat-ttft",
        "bench-h200-rag-ttft",
        "doctor",
        "dynkv-deployment",
        "dynkv-unit",
        "status",
        "top-gpus",
        "top",
        "up-ready",
        "up-starting",
    ]


@pytest.mark.parametrize("path", FOLDER, ids=lambda path: path.stem)
def test_a_picture_loads_nothing_and_names_no_machine(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert "font-face" not in text
    assert "url(" not in re.sub(r"url\(#[\w-]+\)", "", text)
    assert not is_private(text)
    assert not re.search(r"/(home|root|tmp)/", text)
