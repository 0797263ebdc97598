"""One adapter for each supervisor that is measured, all with the same interface."""

from __future__ import annotations

from bench.install import Peers

from .base import Subject, SubjectError
from .circus import Circus
from .dynkv import Dynkv
from .pm2 import Pm2
from .supervisord import Supervisord

__all__ = ["Subject", "SubjectError", "ALL", "available"]

ALL: tuple[type[Subject], ...] = (Dynkv, Supervisord, Circus, Pm2)


def available(peers: Peers) -> list[type[Subject]]:
    return [subject for subject in ALL if subject.name not in peers.missing]
