"""LMCache's coordinator, through which sidecars of several nodes find each other to read from each other's L1.

Source: LMCache, docs/source/mp/p2p.rst at 0aab8fcd; run with lmcache 0.5.6 on a CPU: `lmcache coordinator --help`.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from dynkv.plan.context import Context
from dynkv.plan.model import HttpGet, Liveness, Probe, Probes, Role, Unit
from dynkv.plan.sidecars import LMCACHE

NAME = "lmcache-coordinator"
_PERIOD_S, _STARTUP_TRIES = 1.0, 120
"""Period and attempts of the startup probe: importing Python modules takes 10 s and more."""
_STOP_S = 10.0


def coordinator_unit(ctx: Context) -> Unit | None:
    """The coordinator, on the node that has its address; None on others."""
    url = urlsplit(ctx.profile.lmcache.p2p or "")
    if ctx.node is None or url.hostname != ctx.node.advertise or url.port is None:
        return None
    port = ctx.ports.fixed(url.port, "lmcache.p2p")
    check = (HttpGet(port, "/healthz", ctx.node.advertise),)
    return Unit(
        name=NAME,
        role=Role.UNIT,
        argv=(*ctx.interpreter, "-c", LMCACHE, "coordinator", "--host", ctx.node.advertise, "--port", str(port)),
        env={**ctx.env, "CUDA_VISIBLE_DEVICES": ""},
        ports={"http": port},
        probes=Probes(
            Probe(check, period_seconds=_PERIOD_S, failure_threshold=_STARTUP_TRIES), Probe(check), Liveness(None)
        ),
        restart=ctx.restart(),
        stop_timeout_s=_STOP_S,
        circumstances=ctx.circumstances,
        host=ctx.node.advertise,
    )
