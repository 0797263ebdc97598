"""What to say when no deployment runs."""

from __future__ import annotations

from dynkv.errors import NotRunning
from dynkv.home import LOT, Place, home


def not_running(name: str | None) -> NotRunning:
    """The deployment, or every one, is stopped; what is parked takes memory all the same."""
    error = NotRunning(name)
    if Place(home(), LOT).has_supervisor():
        from dynkv.park.files import parked_bytes  # with msgspec

        error.detail = f"  imports are parked, {parked_bytes(home()) / 1e9:.1f} GB: `dynkv park` shows them"
    return error
