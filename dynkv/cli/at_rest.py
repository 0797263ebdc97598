"""What to say when no deployment runs."""

from __future__ import annotations

from dynkv.errors import NotRunning
from dynkv.home import LOT, Place, home
from dynkv.interrupts import held_back


def not_running(name: str | None) -> NotRunning:
    """The error for one stopped deployment, or for all; it mentions parked imports, which still take memory."""
    error = NotRunning(name)
    if parked := _parked_bytes():
        error.detail = f"  imports are parked, {parked / 1e9:.1f} GB: `dynkv park` shows them"
    return error


def _parked_bytes() -> int:
    if not Place(home(), LOT).has_supervisor():  # importing what reads the rest takes longer
        return 0
    with held_back():
        from dynkv.park.files import parked_bytes

    return parked_bytes(home())
