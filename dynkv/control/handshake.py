"""What a supervisor writes to its notify descriptor, for who has started it."""

from __future__ import annotations

READY = b"ready\n"
"""Its socket is open; units start only after this."""
TAKEN = b"taken\n"
"""Another supervisor has the deployment."""
