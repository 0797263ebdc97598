"""Debian's programs for tests: installed if they are missing and available."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest


def program(name: str, *packages: str) -> str:
    """Its path; installs these packages if necessary, and skips the test if it remains missing."""
    if shutil.which(name) is None and os.geteuid() == 0 and shutil.which("apt-get"):
        # RUNLEVEL: in a container there is no init to start it, and on a host it must not be started
        env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
        for words in (["update"], ["install", "--yes", "--no-install-recommends", *packages]):
            subprocess.run(["apt-get", *words], capture_output=True, timeout=300, check=False, env=env)
    if (path := shutil.which(name)) is None:
        pytest.skip(f"{name} is not here, and cannot be installed")
    return path
