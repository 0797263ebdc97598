"""dynkv understands every command and every profile on the pages, even those that are not run."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from generate import PAGES
from typer.main import get_command

from dynkv.cli.commands import command_line
from dynkv.cli.planned import overrides
from dynkv.profile.load import load

from .pages import Block, blocks, blocks_of, pages

_SHELL = [block for page in pages() for block in blocks(page) if block.language in ("sh", "ini")]
_PROFILES = [block for page in pages() for block in blocks(page) if block.language == "yaml"]


def commands(text: str) -> Iterator[list[str]]:
    """The words after each `dynkv` in a shell script, up to the next operator of the shell."""
    joined = text.replace("\\\n", " ")
    for found in re.finditer(r"(?:^|(?<!-u)[\s(=/])dynkv (?P<words>[a-z-][^\n]*)", joined, re.MULTILINE):
        lexer = shlex.shlex(found["words"], posix=True, punctuation_chars="|&;()<>")
        lexer.whitespace_split = True
        words = []
        for word in lexer:
            if not word.strip("|&;()<>0123456789") and not word.isdigit():
                break
            words.append(word)
        yield words


def understand(words: list[str]) -> None:
    """Raise what the command line would, without running it."""
    root: Any = get_command(command_line([]))
    if words[0].startswith("-"):
        return
    verb = root.commands[words[0]]
    context = verb.make_context(words[0], words[1:], resilient_parsing=False)
    given = context.params
    if words[0] in ("up", "plan", "doctor") and not given["profile"].endswith((".yaml", "PROFILE")):
        options = (given[name] for name in ("gpus", "model", "engine", "device", "no_lmcache", "sets"))
        load(given["profile"], overrides(*options))


@pytest.mark.parametrize("block", _SHELL, ids=str)
def test_a_command_is_one_that_dynkv_understands(block: Block) -> None:
    for words in commands(block.text):
        understand(words)


def test_examples_of_the_command_line_are_understood() -> None:
    page = "\n".join(block.text for block in blocks_of("cli.md", PAGES["reference/cli.md"]()))
    found = [words for words in commands(page) if "[OPTIONS]" not in words]
    assert len(found) > 15
    for words in found:
        understand(words)


@pytest.mark.parametrize("block", _PROFILES, ids=str)
def test_a_profile_on_a_page_is_valid(block: Block, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(block.text)
    load(str(file))


def test_commands_are_found() -> None:
    script = 'dynkv up agg \\\n  --gpus 0,1 | tee x\nkill "$(dynkv status | awk 1)"\nExecStart=/opt/bin/dynkv up agg\n'
    assert [*commands(script)] == [["up", "agg", "--gpus", "0,1"], ["status"], ["up", "agg"]]


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.stem)
def test_lines_are_not_too_long(page: Path) -> None:
    exempt = False
    for line in page.read_text(encoding="utf-8").splitlines():
        exempt ^= line.startswith("```")
        assert exempt or len(line) <= 120 or line.startswith("|"), line
