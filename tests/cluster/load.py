"""Streams without a pause, in this network namespace, until standard input ends.

`python tests/cluster/load.py PORT CLIENTS` prints a list with the result of each: when it began and ended (monotonic,
s), and what was wrong with it, or null.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from itertools import count
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from stack.streams import stream

PORT, CLIENTS = int(sys.argv[1]), int(sys.argv[2])
numbers, over = count(), threading.Event()
done: list[tuple[float, float, str | None]] = []


def ask_on() -> None:
    while not over.is_set():
        began, answer = time.monotonic(), stream(PORT, next(numbers))
        done.append((began, time.monotonic(), None if answer.is_whole else repr(answer)))


threads = [threading.Thread(target=ask_on) for _ in range(CLIENTS)]
for thread in threads:
    thread.start()
sys.stdin.read()
over.set()
for thread in threads:
    thread.join()
json.dump(done, sys.stdout)
