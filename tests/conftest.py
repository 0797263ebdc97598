"""What all tests share: asyncio for the async ones, and the helpers beside the tests of four folders."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

sys.path += [str(Path(__file__).parent / folder) for folder in ("children", "plan", "probes", "supervisor")]

# a machine that others work on too is slow at times
settings.register_profile("shared", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("shared")


@pytest.fixture(scope="session", autouse=True)
def runtime_directory() -> Iterator[None]:
    """Where the short paths of sockets and TMPDIRs are, gone with the run."""
    with (
        tempfile.TemporaryDirectory(prefix="dynkv-run-", dir="/tmp") as directory,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("XDG_RUNTIME_DIR", directory)
        yield


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
