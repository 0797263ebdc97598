"""What some verbs need beyond dynkv itself, and the command that adds it to an installation like this one."""

from __future__ import annotations

import os
import sys

from dynkv.errors import ExtraMissing

_TRACES = {"uv-receipt.toml": "uv tool install", "pipx_metadata.json": "pipx install --force"}
"""Files that an installer leaves in its environments, and its install command. Source: uv 0.13.9; pipx 1.8."""


def missing(what: str, module: str, extra: str) -> ExtraMissing:
    """The error for `what`, which needs `module` from the given extra of pyproject.toml."""
    return ExtraMissing(what, module, f"{install_command(sys.prefix)} 'dynkv[{extra}]'")


def install_command(prefix: str) -> str:
    """The install command of the program that made the environment at `prefix`."""
    found = (command for file, command in _TRACES.items() if os.path.exists(os.path.join(prefix, file)))  # noqa: PTH118
    return next(found, "pip install")
