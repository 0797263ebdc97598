"""What a supervisor writes to its notify descriptor, for who has started it."""

from __future__ import annotations

READY = b"ready\n"
"""Its socket is open; units start only after this."""
UNCLEAR = b"unclear\n"
"""Processes of the deployment run of which it cannot tell whether they may be ended: somebody has to say so."""
TAKEN = b"taken\n"
"""Another supervisor has the deployment."""
