"""What all tests share: asyncio for the async ones, and the helpers beside the tests of two folders."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

sys.path += [str(Path(__file__).parent / folder) for folder in ("children", "supervisor")]

# a machine that others work on too is slow at times
settings.register_profile("shared", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("shared")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
