"""Comparing versions of the stack, as far as a decision depends on them."""

from __future__ import annotations

import re
from collections.abc import Mapping


def at_least(packages: Mapping[str, str], name: str, *wanted: int) -> bool:
    """Whether a package has at least this version; one whose version is unknown is taken to be new."""
    version = packages.get(name)
    if version is None:
        return True
    numbers = [int(number) for number in re.findall(r"\d+", version)[:3]]
    return numbers + [0] * (len(wanted) - len(numbers)) >= list(wanted)
