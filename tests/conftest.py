"""Shared by all tests: asyncio for the async ones, and the helper modules in six folders."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

sys.path += [
    str(Path(__file__).parent / folder) for folder in ("children", "hosts", "observe", "plan", "probes", "supervisor")
]

# a machine with other work is sometimes slow
settings.register_profile("shared", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("shared")

# a run in the background, or under nohup, ignores these, and so would everything that it starts
for number in (signal.SIGHUP, signal.SIGQUIT):
    signal.signal(number, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def short_paths(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Shortcuts to deployments that no test has taken down are removed after the run."""
    yield
    for link in Path("/tmp").glob("dynkv-????????/d"):
        with suppress(OSError):  # another user's
            if link.readlink().is_relative_to(tmp_path_factory.getbasetemp()):
                link.unlink()
                link.parent.rmdir()


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
