"""Import what `lmcache server` imports until it has read its arguments: run by standby.py, ahead of a sidecar's start.

That is most of what its start takes without CUDA: 4.5 of 5 s on two cores, half of it for storage adapters that
nobody may have asked for (lmcache 0.5.6, cli/commands/server.py). `lmcache.v1.multiprocess.server`, which comes after
that, begins with CUDA on a host with GPUs, so nothing that has imported it could be forked.
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
