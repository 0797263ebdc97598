"""Puts what `make man` has written, if it has, where man and shells look for it in the environment of the wheel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class Share(BuildHookInterface[Any]):
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        share = Path(self.root) / "build" / "share"
        if version == "editable":  # what it says would be of an older checkout
            return
        for path in sorted(share.rglob("*")):
            if path.is_file():
                build_data["shared_data"][str(path)] = f"share/{path.relative_to(share)}"
