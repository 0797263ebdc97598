"""Variables of a container, and those that only a cluster knows. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from dynkv.init.conversion import Conversion
from dynkv.init.manifest import Part

_SAME = {
    "DO_NOT_TRACK": "1",
    "LMCACHE_DISABLE_BANNER": "1",
    "LMCACHE_TRACK_USAGE": "false",
    "VLLM_NO_USAGE_STATS": "1",
}
"""Variables that every process of dynkv has anyway."""


_VARIABLE = re.compile(r"\$(\$\(|\((?P<name>[A-Za-z_]\w*)\))")


def replaced(text: str, env: Mapping[str, str]) -> str:
    """The text as Kubernetes expands it: `$(NAME)` is the variable if it exists, and `$$(` is `$(`."""
    return _VARIABLE.sub(lambda it: env.get(it["name"], it[0]) if it["name"] else "$(", text)


def variables(found: Conversion, given: Sequence[Part]) -> dict[str, str]:
    """Variables by name, the last of several; those taken from elsewhere are left out and reported."""
    env: dict[str, str] = {}
    for variable in given:
        name = variable.text("name")
        source = variable.part("valueFrom").data
        if source:
            env.pop(name, None)
            found.leave_out(variable.line, f"{name}, taken from a {_kind(next(iter(source)))}: export it")
        elif _SAME.get(name) == variable.text("value"):
            found.planned.add(name)
        else:
            env[name] = replaced(variable.text("value"), env)
    return env


def _kind(reference: str) -> str:
    """The kind of a reference such as `secretKeyRef`, in words."""
    return {"secretKeyRef": "Secret", "configMapKeyRef": "ConfigMap", "fieldRef": "field of the pod"}.get(
        reference, reference
    )
