"""A deployment for each test, and the tables at the end of the run."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from stack.harness import Dynkv, fresh_dynkv

_REPORTS = pytest.StashKey[list[str]]()
Report = Callable[[str], None]


@pytest.fixture
def dynkv() -> Iterator[Dynkv]:
    with fresh_dynkv() as fresh:
        yield fresh


@pytest.fixture
def report(request: pytest.FixtureRequest) -> Report:
    """Show a text in the summary of the run, under the test's name."""
    reports = request.config.stash.setdefault(_REPORTS, [])
    return lambda text: reports.append(f"{request.node.name}\n{text}")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for text in config.stash.get(_REPORTS, []):
        terminalreporter.section("chaos", sep="-")
        terminalreporter.write_line(text)
