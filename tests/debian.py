"""Debian's programs for tests: installed where they are missing and can be had."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest


def program(name: str, *packages: str) -> str:
    """Its path, installed with these packages if need be; skips the test where there is none."""
    if shutil.which(name) is None and os.geteuid() == 0 and shutil.which("apt-get"):
        # RUNLEVEL: a container has no init that could start it, and a host should not
        env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
        for words in (["update"], ["install", "--yes", "--no-install-recommends", *packages]):
            subprocess.run(["apt-get", *words], capture_output=True, timeout=300, check=False, env=env)
    if (path := shutil.which(name)) is None:
        pytest.skip(f"{name} is not here, and cannot be installed")
    return path
