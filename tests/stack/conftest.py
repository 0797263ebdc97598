"""Deployments of the real programs: one at a time; the host is inspected before the next."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from .harness import Dynkv, fresh_dynkv
from .random_model import make_random_model


@pytest.fixture(scope="session")
def random_model() -> Iterator[Path]:
    """A model directory whose answers depend on the whole prompt, named `random` for clients."""
    with tempfile.TemporaryDirectory(prefix="dynkv-model-", dir="/tmp") as directory:
        path = Path(directory) / "random"
        make_random_model(path)
        yield path


@pytest.fixture
def dynkv() -> Iterator[Dynkv]:
    """A DYNKV_HOME for one test."""
    with fresh_dynkv() as fresh:
        yield fresh


@pytest.fixture(scope="module")
def module_dynkv() -> Iterator[Dynkv]:
    """A DYNKV_HOME for one file, whose tests share a deployment."""
    with fresh_dynkv() as fresh:
        yield fresh
