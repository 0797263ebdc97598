"""Variables of a container, and what of them only a cluster knows. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from dynkv.init.conversion import Conversion
from dynkv.init.manifest import Part

_SAME = {
    "DO_NOT_TRACK": "1",
    "LMCACHE_DISABLE_BANNER": "1",
    "LMCACHE_TRACK_USAGE": "false",
    "VLLM_NO_USAGE_STATS": "1",
}
"""What every process of dynkv's has anyway."""


def variables(found: Conversion, given: Sequence[Part]) -> dict[str, str]:
    """By name, the last of equal ones; those taken from elsewhere are left out, and told."""
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
            env[name] = variable.text("value")
    return env


def _kind(reference: str) -> str:
    """Of `secretKeyRef` and the like, in words."""
    return {"secretKeyRef": "Secret", "configMapKeyRef": "ConfigMap", "fieldRef": "field of the pod"}.get(
        reference, reference
    )
