"""Metrics of several programs as one exposition, in which each family occurs once. Pure.

Written in Prometheus' text format or as OpenMetrics. No program can spoil it for the others: nothing is taken from one
that violates the format. Sources: Prometheus, "Exposition formats", 0.0.4; OpenMetrics 1.0.0.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from msgspec import Struct, field

from dynkv.metrics.exposition import labelled, line, unit_labels
from dynkv.probes.text import Sample, samples

TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
_KINDS = frozenset({"counter", "gauge", "histogram", "summary", "untyped"})
_PARTS = {"histogram": ("_bucket", "_sum", "_count"), "summary": ("", "_sum", "_count")}
_TOTAL, _CREATED = "_total", "_created"
_COMMENT = re.compile(r"#[ \t]+(HELP|TYPE)[ \t]+([a-zA-Z_:][a-zA-Z0-9_:]*+)[ \t]*+(.*+)")
_LABEL = r'[a-zA-Z_][a-zA-Z0-9_]*+="(?:[^"\\]|\\.)*+"'
_NUMBER = r"[+-]?(?:(?:[0-9]++(?:\.[0-9]*+)?|\.[0-9]++)(?:[eE][+-]?[0-9]++)?|Inf|NaN)"
_USUAL = re.compile(rf"([a-zA-Z_:][a-zA-Z0-9_:]*+)(?:\{{((?:{_LABEL},?)*+)\}})? ({_NUMBER})")
"""The form in which nearly every program writes a sample; others are parsed more slowly."""
_LABEL_NAMES = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*+)="(?:[^"\\]|\\.)*+"')


class Family(Struct):
    kind: str
    description: str
    """Description, escaped as in the text format."""
    lines: list[str] = field(default_factory=list)
    """Its samples, one per line."""


Families = dict[str, Family]
"""Families by name."""


class NotReadable(ValueError):
    """A text that is not an exposition."""


class Source(Struct, frozen=True):
    deployment: str
    unit: str
    role: str

    @property
    def labels(self) -> dict[str, str]:
        return unit_labels(self.deployment, self.unit, self.role)


def families_of(text: str, source: Source) -> Families:
    """Families with the source's labels before a sample's own; own ones with the same name get the prefix `exported_`.

    Raises NotReadable if any line is neither a sample nor a comment.
    """
    found: Families = {}
    owners: dict[str, str] = {}
    seen: set[str] = set()
    ahead = ",".join(f'{name}="{value}"' for name, value in source.labels.items())
    for number, given in enumerate(text.split("\n"), start=1):
        stripped = given.strip()
        if stripped.startswith("#"):
            _note(stripped, found, owners)
        elif stripped:
            name, series, value = _series(stripped, ahead, source, number)
            if series not in seen:
                seen.add(series)
                owner = owners.setdefault(name, name)
                found.setdefault(owner, Family("untyped", "")).lines.append(f"{series} {value}\n")
    return {name: family for name, family in found.items() if family.lines}


def merged(all_families: Iterable[Families]) -> Families:
    """Families of all sources. The first source with a family determines its type and description; sources with
    another type, or with a family whose series have the name of another one, are left out."""
    result: Families = {}
    taken: dict[str, str] = {}
    for families in all_families:
        for name, family in families.items():
            parts = dict.fromkeys(_samples_of(name, family.kind), name)
            if any(taken.get(part, name) != name for part in parts):
                continue
            known = result.setdefault(name, Family(family.kind, family.description))
            if known.kind == family.kind:
                taken |= parts
                known.lines += family.lines
                known.description = known.description or family.description
    return result


def as_text(families: Mapping[str, Family]) -> str:
    return "".join(_as_text(families))


def as_openmetrics(families: Mapping[str, Family]) -> str:
    """The families as OpenMetrics, in which counters without `_total` have an unknown type; creation times are left
    out."""
    return "".join([*_as_openmetrics(families), "# EOF\n"])


def wants_openmetrics(accept: bytes) -> bool:
    return b"application/openmetrics-text" in accept


def own_family(kind: str, description: str, given: Iterable[Sample]) -> Family:
    return Family(kind, description, [line(sample) for sample in given])


def _note(comment: str, found: Families, owners: dict[str, str]) -> None:
    """Note a comment; one that is not about a family may contain anything."""
    if (said := _COMMENT.fullmatch(comment)) is None:
        return
    what, name, words = said.groups()
    family = found.setdefault(name, Family("untyped", ""))
    if what == "HELP":
        family.description = words
    elif words in _KINDS and not family.lines:
        family.kind = words
        owners |= dict.fromkeys(_samples_of(name, words), name)


def _series(given: str, ahead: str, source: Source, number: int) -> tuple[str, str, str]:
    """The sample's name, the series with all its labels, and its value."""
    if (usual := _USUAL.fullmatch(given)) is not None:
        name, labels, value = usual.groups()
        names = _LABEL_NAMES.findall(labels or "")
        if not ({"deployment", "unit", "role", "__name__"} & {*names}) and len({*names}) == len(names):
            own = (labels or "").removesuffix(",")
            return name, f"{name}{{{ahead}{',' if own else ''}{own}}}", value
    sample = next(samples(given), None)
    if sample is None or "__name__" in sample.labels:
        raise NotReadable(f"line {number} is not a sample")
    written = line(Sample(sample.name, labelled(source.labels, sample.labels), sample.value))
    series, _, value = written.rstrip("\n").rpartition(" ")
    return sample.name, series, value


def _samples_of(name: str, kind: str) -> Iterator[str]:
    yield from (name + part for part in _PARTS.get(kind, ("",)))


def _as_text(families: Mapping[str, Family]) -> Iterator[str]:
    for name, family in families.items():
        if family.description:
            yield f"# HELP {name} {family.description}\n"
        yield f"# TYPE {name} {family.kind}\n"
        yield from family.lines


def _as_openmetrics(families: Mapping[str, Family]) -> Iterator[str]:
    for name, family in families.items():
        base = name.removesuffix(_TOTAL)
        is_counter = family.kind == "counter" and base != name and base not in families
        is_unknown = family.kind == "untyped" or (family.kind == "counter" and not is_counter)
        if name.endswith(_CREATED) and _is_of_another(name.removesuffix(_CREATED), families):
            continue
        shown = base if is_counter else name
        if family.description:
            described = family.description.replace('"', r"\"")
            yield f"# HELP {shown} {described}\n"
        yield f"# TYPE {shown} {'unknown' if is_unknown else family.kind}\n"
        yield from family.lines


def _is_of_another(name: str, families: Mapping[str, Family]) -> bool:
    return name in families or name + _TOTAL in families
