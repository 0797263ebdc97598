"""How the supervisor reaches each sidecar of a plan."""

from __future__ import annotations

from functools import partial

from dynkv.home import Place
from dynkv.plan.model import SIDECARS_STANDBY, Plan, Role, Unit
from dynkv.reclaim.sidecar import Sidecar
from dynkv.supervisor.standby import StandbyRunner


def sidecars_of(plan: Plan, place: Place, standbys: tuple[StandbyRunner, ...]) -> tuple[Sidecar, ...]:
    helper = next((standby for standby in standbys if standby.planned.name == SIDECARS_STANDBY), None)
    log = place.logs / "reclaim.log"

    def of(unit: Unit) -> Sidecar:
        start = None if helper is None else partial(helper.launch, "what tells the sidecar", env=unit.env, log=log)
        http, reap_timeout_s = unit.ports["http"], plan.reap_timeout_s
        return Sidecar(unit.name, plan.python, unit.env, unit.ports["zmq"], http, reap_timeout_s, log, start)

    return tuple(of(unit) for unit in plan.units if unit.role is Role.LMCACHE)
