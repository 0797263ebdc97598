"""All metrics of dynkv itself and its units, gathered on demand."""

from __future__ import annotations

import time
from collections.abc import Iterable
from functools import partial

from dynkv.host.asking import Questions
from dynkv.metrics.exposition import FAMILIES, own_samples, unit_labels
from dynkv.metrics.families import Families, own_family
from dynkv.metrics.gpus import GpuFigures
from dynkv.metrics.ledger import LEDGER_FAMILIES, Ledger
from dynkv.metrics.present import PRESENT_FAMILIES, Beside, present
from dynkv.probes.text import Sample
from dynkv.supervisor.stack import Stack

OWN_FAMILIES = {**FAMILIES, **PRESENT_FAMILIES, **LEDGER_FAMILIES}
"""Type and description by name. The reference is made from this."""
_PATIENCE_S = 0.2
_FRESH_S = 10.0
_PARTS = {"histogram": ("_bucket", "_sum", "_count"), "summary": ("_sum", "_count")}
_FAMILY_OF = {name + part: name for name, (kind, _) in OWN_FAMILIES.items() for part in _PARTS.get(kind, ("",))}


class OwnFigures:
    """Gathers the metrics. GPUs and disks have a short timeout; what does not answer is left out."""

    def __init__(self, stack: Stack, ledger: Ledger | None = None) -> None:
        self._stack = stack
        self.ledger = ledger or Ledger()
        self.gpus = GpuFigures()
        self._disks: dict[str, tuple[int, int]] = {}
        self._disks_at = -_FRESH_S
        self._disk = Questions()

    async def families(self) -> Families:
        status = self._stack.status()
        loads = await self.gpus.loads(status.units)
        pids = self._stack.pids() if loads else {}
        beside = Beside(self._stack.hang_checks(), loads, pids, await self._room())
        labels = {unit.name: unit_labels(status.name, unit.name, unit.role) for unit in status.units}
        found = {name: list(samples) for name, samples in own_samples(status).items()}
        for sample in (*present(status, beside), *self.ledger.samples(status.name, labels, time.time())):
            found.setdefault(_FAMILY_OF[sample.name], []).append(sample)
        return _families(found.items())

    async def _room(self) -> dict[str, tuple[int, int]]:
        """Space on the disks of L2; values of the last look if the disk does not answer."""
        directories = self._stack.plan.l2_directories
        if directories and time.monotonic() >= self._disks_at + _FRESH_S:
            try:
                self._disks = await self._disk.ask(partial(_room_of, directories), _PATIENCE_S)
            except TimeoutError:
                self._disks = {}
            self._disks_at = time.monotonic()
        return self._disks


def _room_of(directories: Iterable[str]) -> dict[str, tuple[int, int]]:
    """Space on the disks; runs in a thread, since a network disk that is gone never answers."""
    import shutil  # a supervisor of one that keeps nothing on disks does without

    found = {}
    for directory in directories:
        try:
            usage = shutil.disk_usage(directory)
        except OSError:
            continue  # the sidecar creates it when it starts
        found[directory] = (usage.free, usage.total)
    return found


def _families(found: Iterable[tuple[str, list[Sample]]]) -> Families:
    return {name: own_family(*OWN_FAMILIES[name], samples) for name, samples in found if samples}
