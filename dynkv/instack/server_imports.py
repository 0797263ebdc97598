"""Import what `lmcache server` imports before it reads its arguments: run by standby.py, before a sidecar's start.

Without CUDA that is most of the start: 4.5 of 5 s on two cores, half of it for storage adapters that may not be used
(lmcache 0.5.6, cli/commands/server.py). `lmcache.v1.multiprocess.server`, which comes next, initialises CUDA on a host
with GPUs, so a process that has imported it could not be forked.
"""

import argparse
import importlib

for name in (
    "lmcache.v1.distributed.storage_manager",
    "lmcache.v1.multiprocess.config",
    "fastapi",
    "uvicorn",
):
    importlib.import_module(name)
importlib.import_module("lmcache.cli.commands.server").ServerCommand().add_arguments(argparse.ArgumentParser())
