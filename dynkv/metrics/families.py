"""What several programs say of themselves, as one exposition: each family once, whoever has it. Pure.

Written for Prometheus' text format or for OpenMetrics. No program can spoil it for the others: of one that does not
keep to the format nothing is taken. Sources: Prometheus, "Exposition formats", 0.0.4; OpenMetrics 1.0.0.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

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
"""As nearly every program writes a sample; others are read with more patience."""
_LABEL_NAMES = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*+)="(?:[^"\\]|\\.)*+"')


@dataclass(slots=True)
class Family:
    kind: str
    description: str
    """As the text format escapes it."""
    lines: list[str] = field(default_factory=list)
    """Its samples, each a line."""


Families = dict[str, Family]
"""By name."""


class NotReadable(ValueError):
    """A text that is no exposition."""


@dataclass(frozen=True, slots=True)
class Source:
    deployment: str
    unit: str
    role: str

    @property
    def labels(self) -> dict[str, str]:
        return unit_labels(self.deployment, self.unit, self.role)


def families_of(text: str, source: Source) -> Families:
    """With the source's labels before its own; one with such a name has `exported_` before it.

    Raises NotReadable where any line is neither a sample nor a comment.
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
    """The first that has a family says of which kind it is, and what it means; who has it as another kind is left out,
    and so is who has a family of which a part is called as another one is."""
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
    """Counters without `_total` are of an unknown kind there; when a series was created is left out."""
    return "".join([*_as_openmetrics(families), "# EOF\n"])


def wants_openmetrics(accept: bytes) -> bool:
    return b"application/openmetrics-text" in accept


def own_family(kind: str, description: str, given: Iterable[Sample]) -> Family:
    return Family(kind, description, [line(sample) for sample in given])


def _note(comment: str, found: Families, owners: dict[str, str]) -> None:
    """A comment that says nothing of a family may say anything."""
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
        raise NotReadable(f"line {number} is no sample")
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
