"""What single verbs need beyond dynkv itself, and the command that adds it to an installation like this one."""

from __future__ import annotations

import os
import sys

from dynkv.errors import ExtraMissing

_TRACES = {"uv-receipt.toml": "uv tool install", "pipx_metadata.json": "pipx install --force"}
"""What leaves a file in the environments that it makes, with how it installs. Source: uv 0.13.9; pipx 1.8."""


def missing(what: str, module: str, extra: str) -> ExtraMissing:
    """`what` needs `module`, which `extra` of pyproject.toml brings."""
    return ExtraMissing(what, module, f"{install_command(sys.prefix)} 'dynkv[{extra}]'")


def install_command(prefix: str) -> str:
    """Of whoever made the environment there."""
    found = (command for file, command in _TRACES.items() if os.path.exists(os.path.join(prefix, file)))  # noqa: PTH118
    return next(found, "pip install")
