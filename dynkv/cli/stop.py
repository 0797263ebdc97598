"""`stop`: stop units that are not needed for now."""

from __future__ import annotations

from dynkv.cli.options import NameOfOption
from dynkv.cli.streams import persevere
from dynkv.cli.units import PATIENCE_S, TimeoutOption, Units, WaitOption, ask, running, until_stopped
from dynkv.control.deadline import Deadline


def stop(
    units: Units, name: NameOfOption = None, wait: WaitOption = False, timeout: TimeoutOption = PATIENCE_S
) -> None:
    """Stop units; they stay stopped until `dynkv start`."""
    persevere()
    deployment, deadline = running(name), Deadline(timeout)
    ask(deployment, units, "stop", deadline)
    for unit in units if wait else []:
        until_stopped(deployment, unit, deadline)
