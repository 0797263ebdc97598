"""Every shell block of the tutorial, run in the order of its page, and the output that the page shows.

The tests run the CPU stack, so that what needs a GPU is run with something else: SUBSTITUTIONS has all of it. Nothing
else is changed, and nothing is left out.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from stack.harness import Dynkv, fresh_dynkv

from .expected import is_as_shown
from .pages import ROOT, Block, blocks, pages

PAGES = ("laptop", "one-gpu", "two-gpus")
_PROFILE = r"dynkv (up|plan|doctor) (\S+)"
SUBSTITUTIONS = {
    "every page": (
        # the tests' environment has it already; only what make would do is looked up
        (r"make install", f"make --directory {ROOT} --dry-run install"),
        (r"\$PWD/\.venv/bin", str(Path(sys.executable).parent)),
        # something else may listen on the port
        (_PROFILE, r"dynkv \1 \2 --set frontend.port={port}"),
        (r"127\.0\.0\.1:8000", "127.0.0.1:{port}"),
    ),
    # without a GPU: vLLM on the CPU, with a model that needs no download
    "one-gpu": (
        (_PROFILE, r"dynkv \1 \2 --device cpu --model tiny"),
        (r"Qwen/Qwen3-0\.6B", "tiny"),
    ),
    # without two GPUs: the mocker, for which the numbers of GPUs are only labels
    "two-gpus": (
        (_PROFILE, r"dynkv \1 \2 --engine mocker --model tiny"),
        (r"Qwen/Qwen3-0\.6B", "tiny"),
    ),
}
"""Replacements for each page, in its commands and in the output that it shows."""
_BLOCK_S = 300.0


@dataclass
class Reader:
    """A reader who types what a page says, block after block, into one shell."""

    page: str
    dynkv: Dynkv
    directory: Path

    def types(self, block: Block) -> str:
        """The output of a block. What it exports, the next block has."""
        state = self.directory / ".exported"
        script = f'. "{state}"\n{self.here(block.text)}\nexport -p > "{state}"\n'
        state.touch()
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=self.directory,
            env=self.dynkv.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_BLOCK_S,
        )
        assert done.returncode == 0, f"{block}\n{self.here(block.text)}\n{done.stdout}"
        self.look_around()
        return done.stdout

    def here(self, text: str) -> str:
        """The text as it applies to this machine."""
        for pattern, replacement in (*SUBSTITUTIONS["every page"], *SUBSTITUTIONS.get(self.page, ())):
            text = re.sub(pattern, replacement.replace("{port}", str(self.dynkv.port)), text)
        return text

    def look_around(self) -> None:
        """Remember what runs, to look for it at the end."""
        if self.dynkv.run("status", "--json").returncode == 0:
            self.dynkv.status()


@pytest.fixture
def dynkv() -> Iterator[Dynkv]:
    with fresh_dynkv() as fresh:
        yield fresh


@pytest.fixture
def directory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="dynkv-docs-", dir="/tmp") as made:
        yield Path(made)


@pytest.mark.stack
@pytest.mark.parametrize("page", PAGES)
def test_what_the_page_says_is_what_happens(page: str, dynkv: Dynkv, directory: Path) -> None:
    reader, output = Reader(page, dynkv, directory), ""
    for block in blocks(ROOT / "docs" / "tutorial" / f"{page}.md"):
        if block.language == "sh":
            output = reader.types(block)
        else:
            assert is_as_shown(output, reader.here(block.text)), f"{block} shows other output than\n{output}"
    assert dynkv.run("status").returncode == 3, "the page ends with nothing running"
    assert [path.name for path in directory.iterdir()] == [".exported"], "the page removes what it has written"


def test_the_pages_hold_commands_and_their_output_alone() -> None:
    assert {page.stem for page in pages("tutorial")} == {*PAGES}
    for page in pages("tutorial"):
        assert {block.language for block in blocks(page)} <= {"sh", "text"}


@pytest.mark.parametrize(
    ("output", "shown"),
    [
        ("a  12s 3.4 MB\n", "a 1m05s 77 MB"),
        ("one\ntwo\nthree\n", "…\nthree"),
        ("one\n", "…\none\n…"),
        ("http://127.0.0.1:20500 x\n", "http://127.0.0.1:8000 …"),
        ("agg can run on this host, with 2 warnings\n", "agg can run on this host"),
    ],
)
def test_output_that_is_as_shown(output: str, shown: str) -> None:
    assert is_as_shown(output, shown)


@pytest.mark.parametrize(("output", "shown"), [("one\n", "two"), ("one\ntwo\n", "one"), ("ready\n", "…\nready again")])
def test_output_that_is_not(output: str, shown: str) -> None:
    assert not is_as_shown(output, shown)
