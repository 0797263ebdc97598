"""Which entries in etcd belong to the dead, and which of the living are missing. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from dynkv.cluster.entry import Entry
from dynkv.cluster.instances import Instance


class OwnInstances:
    """Tracks this node's own workers in etcd, from one look to the next."""

    def __init__(self, host: str, ports: Mapping[int, str]) -> None:
        """`ports`: where each worker accepts requests, by its unit's name."""
        self._host = host
        self._ports = ports
        self._leases: dict[str, tuple[int, set[int]]] = {}
        """For each worker its process and that process's leases, as last seen."""
        self._over: set[int] = set()
        """Leases of processes that are gone."""
        self._entries: dict[int, tuple[Entry, ...]] = {}
        """Entries under each lease of living processes."""

    def is_own(self, instance: Instance) -> bool:
        return instance.host == self._host and instance.port in self._ports

    def unit_of(self, instance: Instance) -> str:
        """The unit's name; KeyError for another node's instance."""
        return self._ports[instance.port]

    def unseen(self, found: Iterable[Instance]) -> set[str]:
        """This node's workers that have no entries."""
        return {*self._ports.values()} - {self.unit_of(it) for it in found if self.is_own(it)}

    @property
    def leases(self) -> set[int]:
        """Leases of all own processes, including those that are gone."""
        return self._over.union(*(leases for _, leases in self._leases.values()))

    def dead_leases(
        self, entries: Iterable[Entry], found: Iterable[Instance], pids: Mapping[str, int | None]
    ) -> list[int]:
        """Leases of own processes that are gone, given each worker's current pid in `pids`: their `entries` can be
        removed.

        Two processes cannot use one address, so the newest of several is the living one. A process that ends normally
        removes its instances, and may leave other entries.
        """
        for unit, pid in pids.items():
            known = self._leases.get(unit)
            if known is not None and known[0] != pid:
                self._over |= self._leases.pop(unit)[1]
        by_unit: dict[str, list[Instance]] = defaultdict(list)
        for instance in sorted(filter(self.is_own, found), key=lambda it: it.created):
            by_unit[self.unit_of(instance)].append(instance)
        dead = sorted(self._over & {entry.lease for entry in entries})
        for unit, its in by_unit.items():
            pid = pids.get(unit)
            living = [it for it in its if pid is not None and it.lease not in self._over][-1:]
            dead += [it.lease for it in its if it not in living and it.lease not in dead]
            for it in living:
                self._leases[unit] = (pid or 0, {it.lease})
                self._entries[it.lease] = _united(self._entries.get(it.lease, ()), it.entries)
        self._entries = {lease: kept for lease, kept in self._entries.items() if lease not in {*dead, *self._over}}
        return dead

    def missing(self, found: Iterable[Entry], units: Iterable[str]) -> list[Entry]:
        """Entries that the processes of these units had, and that no longer exist."""
        there = {entry.key for entry in found}
        leases = {lease for unit in units if unit in self._leases for lease in self._leases[unit][1]}
        return [entry for lease in sorted(leases) for entry in self._entries.get(lease, ()) if entry.key not in there]


def _united(before: tuple[Entry, ...], now: tuple[Entry, ...]) -> tuple[Entry, ...]:
    return tuple({entry.key: entry for entry in (*before, *now)}.values())
