"""What all tests share: asyncio for the async ones, and the helpers beside the tests of two folders."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path += [str(Path(__file__).parent / folder) for folder in ("children", "supervisor")]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
