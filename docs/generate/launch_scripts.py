"""Dynamo's launch scripts and their profiles, from the table of the tests."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from generate.markdown import table

HEAD = """# Launch scripts

The equivalents of Dynamo's own launch scripts for its vLLM backend (`examples/backends/vllm/launch` in its repository):
a profile, or the reason why there is none. A profile is a shipped one with additional keys. The tests plan each on a
host with 8 GPUs and start the different shapes with Dynamo's mocker; with these models, on GPUs, they have not run.

`dynkv init --from-script` makes such a profile from your own script: [how](../howto/init.md).
"""


def page() -> str:
    sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "plan"))
    from launch_scripts import SCRIPTS

    made = [(f"`{it.name}`", _profile(it.profile, it.settings), it.note) for it in SCRIPTS if it.profile]
    refused = [(f"`{it.name}`", it.reason) for it in SCRIPTS if it.reason]
    return "\n".join(
        (
            HEAD,
            "## With a profile\n",
            table(("script", "profile", "note"), made),
            "## Without one\n",
            table(("script", "why"), refused),
        )
    )


def _profile(base: str, settings: Mapping[str, Any]) -> str:
    keys = [f"`{key}: {_value(value)}`" for key, value in settings.items()]
    return " <br> ".join([f"`extends: {base}`", *keys])


def _value(value: Any) -> str:
    """The value as JSON, which is also YAML; for units, their command lines."""
    if isinstance(value, list) and value and isinstance(value[0], Mapping) and "argv" in value[0]:
        return "; ".join(shlex.join(unit["argv"]) for unit in value)
    return json.dumps(value)
