"""`start`: start stopped or failed units, and run jobs once more."""

from __future__ import annotations

from dynkv.cli.options import NameOfOption
from dynkv.cli.streams import persevere
from dynkv.cli.units import PATIENCE_S, TimeoutOption, Units, WaitOption, ask, running, units_of, until_ready
from dynkv.control.deadline import Deadline
from dynkv.supervisor.states import has_ended


def start(
    units: Units, name: NameOfOption = None, wait: WaitOption = False, timeout: TimeoutOption = PATIENCE_S
) -> None:
    """Start units that were stopped or have failed, and run jobs once more."""
    persevere()
    deployment, deadline = running(name), Deadline(timeout)
    before = {it.name: it for it in units_of(deployment, deadline) if has_ended(it.state)} if wait else {}
    ask(deployment, units, "start", deadline)
    for unit in units if wait else []:
        until_ready(deployment, unit, deadline, before=before.get(unit))
