"""Comparing versions of the stack, where a decision depends on them."""

from __future__ import annotations

import re
from collections.abc import Mapping


def at_least(packages: Mapping[str, str], name: str, *wanted: int) -> bool:
    """Whether a package has at least this version; an unknown version counts as new."""
    version = packages.get(name)
    if version is None:
        return True
    return numbers(version) + (0,) * (len(wanted) - len(numbers(version))) >= wanted


def numbers(version: str) -> tuple[int, ...]:
    """The first three numbers of a version, without a build tag such as in 2.13.0+cpu."""
    return tuple(int(number) for number in re.findall(r"\d+", version.partition("+")[0])[:3])
