"""A stand-in for a supervisor: changes everything that a process can change of itself, and becomes the parker again."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time

from dynkv.supervisor.parked import give_back, given

LEAK = bytearray(32 * 1024 * 1024)
os.environ["API_KEY"] = "of this deployment"
os.umask(0)
os.chdir("/")
signal.signal(signal.SIGTERM, signal.SIG_IGN)
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGUSR1})
opened = [os.open(os.devnull, os.O_RDONLY) for _ in range(5)]
threading.Thread(target=time.sleep, args=(60,), daemon=True).start()

lot = given(int(sys.argv[sys.argv.index("--parked-fd") + 1]))
assert lot is not None
give_back(lot, ())
