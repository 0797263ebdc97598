"""What is compared, and in which order. Pure."""

from __future__ import annotations

import itertools
import shlex
from collections.abc import Iterator, Sequence

from msgspec import Struct

from dynkv.errors import UsageError

_NOT_ITS_OWN = ("--name", "--foreground", "--no-wait", "--timeout", "--replace", "--no-rollback")
"""Options of `up` that the benchmark sets itself."""


class Variant(Struct, frozen=True):
    """A deployment to measure; `words` are the arguments of `dynkv up`."""

    name: str
    words: tuple[str, ...]


class Visit(Struct, frozen=True):
    """One time that a variant is up and measured."""

    round: int
    variant: Variant


def variants(first: str, common: Sequence[str], against: Sequence[str], sweeps: Sequence[str]) -> tuple[Variant, ...]:
    """The profile, each of `against`, and each value of a sweep, all with the `common` options. Raises UsageError.

    A sweep (`lmcache.chunk_size=256,512`) varies the first; several sweeps are combined.
    """
    swept = [(first, *(word for pair in chosen for word in ("--set", pair))) for chosen in _combined(sweeps)]
    found = [_variant(own, common) for own in (*(swept or [(first,)]), *map(_split, against))]
    for it in found:
        if refused := [word for word in it.words if word.partition("=")[0] in _NOT_ITS_OWN]:
            raise UsageError(f"{refused[0]} cannot be part of a variant", hint="the benchmark decides it")
    return tuple(_apart(found))


def _apart(found: Sequence[Variant]) -> Iterator[Variant]:
    """The variants, with numbers for equal ones, which are there to show the noise."""
    names: list[str] = []
    for it in found:
        names.append(it.name)
        count = names.count(it.name)
        yield it if count == 1 else Variant(f"{it.name} ({count})", it.words)


def visits(variants: Sequence[Variant], rounds: int) -> Iterator[Visit]:
    """The visits, with every other round in the opposite order, so that drift over time affects all alike."""
    for number in range(1, rounds + 1):
        for it in variants if number % 2 else reversed(variants):
            yield Visit(number, it)


def _variant(own: Sequence[str], common: Sequence[str]) -> Variant:
    """A variant named by its own words, which come last, since the last of several options counts."""
    profile, *options = own
    return Variant(shlex.join(word for word in own if word != "--set"), (profile, *common, *options))


def _split(text: str) -> tuple[str, ...]:
    try:
        words = tuple(shlex.split(text))
    except ValueError as error:
        raise UsageError(f"--against {text!r} cannot be read: {error}") from None
    if not words:
        raise UsageError("--against needs a profile, with options as `dynkv up` takes them")
    return words


def _combined(sweeps: Sequence[str]) -> list[tuple[str, ...]]:
    if not sweeps:
        return []
    choices = []
    for text in sweeps:
        key, equals, values = text.partition("=")
        given = [value for value in values.split(",") if value]
        if not key or not equals or len(given) < 2:
            raise UsageError(
                f"--sweep {text!r} has no values to choose from", hint="--sweep lmcache.chunk_size=256,512"
            )
        choices.append([f"{key}={value}" for value in given])
    return list(itertools.product(*choices))
