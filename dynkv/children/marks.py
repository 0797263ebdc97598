"""The markers in a child's environment, by which its whole tree is recognised."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

PREFIX = "DYNKV_"
"""With which all of them begin."""
MARK_HOME = "DYNKV_HOME"
MARK_DEPLOYMENT = "DYNKV_DEPLOYMENT"
MARK_UNIT = "DYNKV_UNIT"
MARK_INCARNATION = "DYNKV_INCARNATION"
SHIELD = {"DYNKV_SHIELD": "1", "PYTORCH_NVML_BASED_CUDA_CHECK": "1"}
"""Must come first in a child's environment. setproctitle overwrites the environment up to the first variable that
the program has set again, which for vLLM is this one: so the markers after it stay readable in /proc (vllm 0.31.0,
setproctitle 1.3; measured)."""


def new_incarnation() -> str:
    return os.urandom(16).hex()


def is_of(marks: Mapping[str, str], home: Path, deployment: str) -> bool:
    """Whether these are the markers of a deployment's process, whatever path was used for its home."""
    given = marks.get(MARK_HOME, "")
    if marks.get(MARK_DEPLOYMENT) != deployment or MARK_INCARNATION not in marks or not given.startswith("/"):
        return False
    return given == str(home) or os.path.realpath(given) == os.path.realpath(home)


def marked_environment(home: Path, deployment: str, unit: str, env: Mapping[str, str]) -> dict[str, str]:
    """`env` plus the markers of a unit's process, which nothing in `env` can replace."""
    marks = {MARK_HOME: str(home), MARK_DEPLOYMENT: deployment, MARK_UNIT: unit}
    return {**SHIELD, **marks, **env, **marks}
