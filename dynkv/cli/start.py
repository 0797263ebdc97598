"""`start`: units that were stopped or have failed."""

from __future__ import annotations

from dynkv.cli.options import NameOfOption
from dynkv.cli.streams import persevere
from dynkv.cli.units import PATIENCE_S, TimeoutOption, Units, WaitOption, ask, running, until_ready
from dynkv.control.deadline import Deadline


def start(
    units: Units, name: NameOfOption = None, wait: WaitOption = False, timeout: TimeoutOption = PATIENCE_S
) -> None:
    """Start units that were stopped or have failed."""
    persevere()
    deployment, deadline = running(name), Deadline(timeout)
    ask(deployment, units, "start", deadline)
    for unit in units if wait else []:
        until_ready(deployment, unit, deadline)
