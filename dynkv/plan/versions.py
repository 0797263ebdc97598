"""Comparing versions of the stack, as far as a decision depends on them."""

from __future__ import annotations

import re
from collections.abc import Mapping


def at_least(packages: Mapping[str, str], name: str, *wanted: int) -> bool:
    """Whether a package has at least this version; one whose version is unknown is taken to be new."""
    version = packages.get(name)
    if version is None:
        return True
    return numbers(version) + (0,) * (len(wanted) - len(numbers(version))) >= wanted


def numbers(version: str) -> tuple[int, ...]:
    """The first three of a version's numbers; without what tells a build, as in 2.13.0+cpu."""
    return tuple(int(number) for number in re.findall(r"\d+", version.partition("+")[0])[:3])
