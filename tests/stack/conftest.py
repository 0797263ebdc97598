"""Deployments of the real programs: one at a time, each gone, and looked for, before the next."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from .harness import Dynkv, fresh_dynkv
from .random_model import make_random_model


@pytest.fixture(scope="session")
def shared() -> Iterator[Path]:
    """What deployments may share without noticing each other: compiled kernels, a model."""
    with tempfile.TemporaryDirectory(prefix="dynkv-shared-", dir="/tmp") as directory:
        yield Path(directory)


@pytest.fixture(scope="session")
def kernels(shared: Path) -> Path:
    path = shared / "kernels"
    path.mkdir()
    return path


@pytest.fixture(scope="session")
def random_model(shared: Path) -> Path:
    """A model directory whose answers depend on the whole prompt. Clients know it as `random`."""
    path = shared / "random"
    make_random_model(path)
    return path


@pytest.fixture
def dynkv(kernels: Path) -> Iterator[Dynkv]:
    """A DYNKV_HOME for one test."""
    with fresh_dynkv(kernels) as fresh:
        yield fresh


@pytest.fixture(scope="module")
def module_dynkv(kernels: Path) -> Iterator[Dynkv]:
    """A DYNKV_HOME for one file, whose tests share a deployment."""
    with fresh_dynkv(kernels) as fresh:
        yield fresh
