"""What a supervisor writes to its notify descriptor, for the process that started it."""

from __future__ import annotations

READY = b"ready\n"
"""Its socket is open; units start only after this."""
UNCLEAR = b"unclear\n"
"""Processes of the deployment run, and it cannot tell whether they may be ended: a person must decide."""
TAKEN = b"taken\n"
"""Another supervisor has the deployment."""
