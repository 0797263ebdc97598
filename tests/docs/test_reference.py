"""The reference is made from the code, so the code has to say everything."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from generate import PAGES
from generate.markdown import table
from host_table import HOSTS
from launch_scripts import SCRIPTS

from dynkv.cli.verbs import VERBS
from dynkv.doctor.catalogue import CHECKS
from dynkv.errors import EXIT_CODES, DynkvError
from dynkv.metrics.own import OWN_FAMILIES
from dynkv.profile.engines import ENGINES
from dynkv.profile.load import shipped_schema
from dynkv.supervisor.event_kinds import KINDS, EventKind

from .pages import ROOT


def test_every_verb_check_kind_code_and_metric_has_its_line() -> None:
    made = {path: page() for path, page in PAGES.items()}
    assert all(f"## dynkv {verb.name}\n" in made["reference/cli.md"] for verb in VERBS)
    assert all(f"| `{check}` |" in made["reference/checks.md"] for check in CHECKS)
    assert all(f"| `{kind}` |" in made["reference/events.md"] for kind in KINDS)
    assert all(f"| `{code}` |" in made["reference/exit-codes.md"] for code in EXIT_CODES)
    assert all(f"| `{metric}` |" in made["reference/metrics.md"] for metric in OWN_FAMILIES)
    assert all(f"## {section}" in made["reference/profile.md"] for section in ("lmcache.l2[] (fs)", "units[]"))


def test_every_part_of_a_document_that_a_page_refers_to_is_below() -> None:
    for path, page in PAGES.items():
        text = page()
        for part in re.findall(r"([^ |]+) \(below\)", text):
            assert f"\n### {part}\n" in text, path


def meanings(page: str) -> Iterator[tuple[str, str]]:
    """The first cell of each row, and the one in the column `meaning` of its table."""
    columns: list[str] = []
    for line in page.splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if not cells:
            columns = []
        elif not columns:
            columns = cells
        elif "meaning" in columns and cells[0] != "---":
            yield cells[0], cells[columns.index("meaning")]


@pytest.mark.parametrize("path", PAGES)
def test_no_row_is_without_a_meaning(path: str) -> None:
    assert not [name for name, meaning in meanings(PAGES[path]()) if not meaning]


def test_the_page_of_the_command_line_names_choices_and_each_default_once() -> None:
    text = PAGES["reference/cli.md"]()
    assert "| `--for ready\\|down` |" in text
    assert "| `--workload chat\\|rag\\|prefix\\|random` |" in text
    assert "| The profile to check the host for. `agg` if omitted. |" in text
    assert "if omitted. if omitted" not in text
    assert "| --- | --- |\n\n" not in text, "a table without rows"


def test_every_section_of_a_profile_has_a_heading_of_its_own() -> None:
    headings = re.findall("^## .*", PAGES["reference/profile.md"](), re.MULTILINE)
    assert len(headings) == len({*headings})


@pytest.mark.parametrize("engine", ENGINES)
def test_every_engine_is_on_the_pages_that_list_them(engine: str) -> None:
    options, words = ((ROOT / "docs" / page).read_text(encoding="utf-8") for page in ("howto/profiles.md", "index.md"))
    row = next(line for line in options.splitlines() if line.endswith("| `engine` |"))
    assert f"`--engine {engine}`" in row, "the table of options in docs/howto/profiles.md"
    assert re.search(rf"\b{engine}\b", words, re.IGNORECASE), "the table of words in docs/index.md"


@pytest.mark.parametrize("path", PAGES)
def test_no_page_has_a_row_without_a_meaning_or_a_line_of_no_table(path: str) -> None:
    text = PAGES[path]()
    assert text.startswith("# ")
    assert "None" not in text
    assert str(ROOT) not in text


def test_every_key_of_a_profile_is_described() -> None:
    schema: Any = json.loads(shipped_schema())
    definitions = schema["$defs"]

    def is_described(key: Any) -> bool:
        return bool(
            key.get("description") or definitions.get(key.get("$ref", "").rpartition("/")[2], key)["description"]
        )

    for section in (schema, *definitions.values()):
        for name, key in section["properties"].items():
            assert is_described(key), f"{section['title']}.{name}"


def test_every_kind_of_event_is_described_and_recorded_somewhere() -> None:
    assert {*KINDS} == {*EventKind}
    recorded = {kind for file in (ROOT / "dynkv").rglob("*.py") for kind in kinds_in(file)}
    assert recorded == EventKind.__members__.keys()


def kinds_in(file: Path) -> Iterator[str]:
    """The first argument of each call that records an event, where it is a kind."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        is_call = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        if is_call and node.func.attr in ("record", "event") and node.args:  # type: ignore[attr-defined]
            first = node.args[0]  # type: ignore[attr-defined]
            if isinstance(first, ast.Attribute):
                yield first.attr


def test_every_error_says_when_it_comes() -> None:
    kinds = [DynkvError]
    for kind in kinds:
        kinds += kind.__subclasses__()
        assert kind.__doc__


def test_a_table() -> None:
    assert table(("a", "b"), [("1|2", "3\n4")]) == "| a | b |\n| --- | --- |\n| 1\\|2 | 3 4 |\n"


def test_every_host_of_the_table_has_its_line() -> None:
    page = PAGES["reference/hosts.md"]()
    assert len(HOSTS) >= 20
    for host in HOSTS:
        assert f"| {host.title} | {host.does} |" in page


def test_every_launch_script_of_the_table_has_its_line() -> None:
    page = PAGES["reference/launch-scripts.md"]()
    assert page.count("\n| `") == len(SCRIPTS) >= 130
    for script in SCRIPTS:
        assert f"| `{script.name}` | {script.reason or f'`extends: {script.profile}`'}" in page
