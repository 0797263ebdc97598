"""A stand-in for a supervisor that is told to end before it can react, and becomes the parker again."""

from __future__ import annotations

import signal
import sys
import time

from dynkv.supervisor.parked import give_back, given

time.sleep(0.3)
assert signal.sigwait({signal.SIGTERM}) == signal.SIGTERM
lot = given(int(sys.argv[sys.argv.index("--parked-fd") + 1]))
assert lot is not None
give_back(lot, ())
