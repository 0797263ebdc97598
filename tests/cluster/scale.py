"""How much load many workers put on etcd: mockers on one node, their entries and their requests.

`python tests/cluster/scale.py 16 64` prints a line for each number of workers. It measures, and asserts nothing.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from nodes import Machine, two_machines

DYNKV = str(Path(sys.executable).with_name("dynkv"))
COUNTERS = {
    "puts": "etcd_mvcc_put_total",
    "ranges": "etcd_mvcc_range_total",
    "keepalives": 'grpc_server_msg_received_total{grpc_method="LeaseKeepAlive"',
    "events": "etcd_debugging_mvcc_events_total",
}
SECONDS = 30.0


def figures(machine: Machine) -> dict[str, float]:
    said = machine.run("curl", "-s", "--noproxy", "*", f"http://{machine.address}:2379/metrics").stdout
    found = {"keys": 0.0, "watchers": 0.0, "db_mb": 0.0, **dict.fromkeys(COUNTERS, 0.0)}
    for line in said.splitlines():
        name, _, value = line.rpartition(" ")
        for figure, counter in COUNTERS.items():
            if name.startswith(counter):
                found[figure] += float(value)
        for figure, gauge, scale in (
            ("keys", "etcd_debugging_mvcc_keys_total", 1),
            ("watchers", "etcd_debugging_mvcc_watcher_total", 1),
            ("db_mb", "etcd_mvcc_db_total_size_in_use_in_bytes", 1e6),
        ):
            if name.startswith(gauge):
                found[figure] = float(value) / scale
    return found


def measure(machine: Machine, workers: int) -> dict[str, float]:
    sets = [f"workers.replicas={workers}", f"cluster.etcd=[http://{machine.address}:2379]"]
    sets += [
        f"cluster.advertise={machine.address}",
        f"cluster.nats=nats://{machine.address}:4222",
        "cluster.ports=20000-29999",
    ]
    words = [word for setting in sets for word in ("--set", setting)]
    common = ["--engine", "mocker", "--model", "tiny", "--no-lmcache", "--name", "many", "--timeout", "900"]
    began = time.monotonic()
    done = machine.run(DYNKV, "up", "agg", *common, *words, timeout=1000)
    if done.returncode:
        raise SystemExit(done.stderr)
    up_s = time.monotonic() - began
    time.sleep(10)
    before = figures(machine)
    time.sleep(SECONDS)
    after = figures(machine)
    status = json.loads(machine.run(DYNKV, "status", "many", "--json").stdout)
    machine.run(DYNKV, "down", "many", timeout=300)
    rates = {f"{name}_per_s": round((after[name] - before[name]) / SECONDS, 2) for name in COUNTERS}
    kept = {name: round(after[name], 1) for name in ("keys", "watchers", "db_mb")}
    return {
        "workers": workers,
        "up_s": round(up_s, 1),
        "instances": sum(status["cluster"]["instances"].values()),
        **kept,
        **rates,
    }


def main() -> None:
    with tempfile.TemporaryDirectory() as directory, two_machines(Path(directory)) as (machine, _):
        subprocess.run(
            [*machine.command(DYNKV, "up", "infra", "--set", f"cluster.advertise={machine.address}")],
            env={**os.environ, "DYNKV_HOME": str(machine.home)},
            check=True,
        )
        try:
            for count in map(int, sys.argv[1:]):
                print(json.dumps(measure(machine, count)), flush=True)
        finally:
            machine.run(DYNKV, "down", "infra")


if __name__ == "__main__":
    main()
