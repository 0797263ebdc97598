"""Which sidecars a deployment has, and which one a worker uses. Pure.

In disagg, two LMCache servers, one for each role, share nothing.
Source: LMCache, docs/source/mp/disaggregated_prefill.rst at 3c1b2597.
"""

from __future__ import annotations

from collections.abc import Collection

from dynkv.plan.model import Role
from dynkv.profile.model import Profile

NAME = "lmcache"
DECODES = "lmcache-decode"
"""Decode's own sidecar, with `lmcache.layout: both`."""
# the `lmcache` script is next to the interpreter only if both were installed together, and
# `-m lmcache.cli.main` does nothing in 0.5.2
LMCACHE = "from lmcache.cli.main import main; main()"
P2P_PORT = "p2p"
"""Where a sidecar of a cluster lends its blocks to others."""


def sidecar_of(profile: Profile, role: Role) -> str | None:
    """The sidecar in which workers of this role keep KV blocks; None if they keep none."""
    if not profile.lmcache.enabled:
        return None
    if role is Role.DECODE:
        return DECODES if profile.lmcache.layout == "both" else None
    return NAME


def sidecars(profile: Profile, roles: Collection[Role]) -> tuple[str, ...]:
    """The sidecars that workers of these roles use, in the order of their ports."""
    used = {sidecar_of(profile, role) for role in roles}
    return tuple(name for name in (NAME, DECODES) if name in used)
