"""`dynkv status` for people: a headline, a table of the units, their GPUs, the KV caches, and the standbys.

Without rich, which takes 60 ms.
"""

from __future__ import annotations

from itertools import zip_longest

from dynkv.cli.ink import Ink, folded
from dynkv.readable import readable

TYPE_CHECKING = False  # mypy takes it as true; importing it takes longer than all that is here
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from dynkv.cluster.status import ClusterStatus
    from dynkv.supervisor.status import DeploymentStatus, GpuStatus, StandbyStatus, UnitStatus

STATE_STYLE = {
    "ready": "green",
    "completed": "green",
    "starting": "cyan",
    "pending": "dim",
    "stopped": "dim",
    "stopping": "yellow",
    "failed": "bold red",
}
"""Style by state of a unit; other states are yellow."""
DEPLOYMENT_STYLE = {
    "ready": "bold green",
    "starting": "cyan",
    "failed": "bold red",
    "degraded": "bold yellow",
}
COLUMNS = ("unit", "state", "pid", "gpu", "ports", "age", "restarts", "memory", "probe", "last exit")
_STATE = COLUMNS.index("state")
_GAP = "  "


def status_text(status: DeploymentStatus, ink: Ink) -> str:
    """The status as text. States may be enum members or plain text, so a document read without the classes works
    too."""
    state = ink.paint(f"{status.state}", DEPLOYMENT_STYLE.get(status.state, ""))
    model = in_full(status.model, status.model_aliases)
    served = readable(f"  {status.endpoint}  model {model}") if status.endpoint else ""
    lines = [f"{ink.paint(status.name, 'bold')} is {state}{served}"]
    if status.detail:
        lines.append(ink.fold(status.detail, "yellow"))
    if status.cluster is not None:
        lines += [ink.fold(words, "dim") for words in cluster_words(status.cluster)]
    lines += _table([unit_row(unit) for unit in status.units], ink)
    lines += [ink.fold(gpu_words(gpu), "dim") for gpu in status.gpus]
    lines += [ink.fold(words, "dim") for words in lora_words(status.units)]
    if kv := kv_words(status.kv):
        lines.append(ink.fold(kv, "dim"))
    lines += [
        ink.fold(f"{standby.name} is {standby.state}, {standby_words(standby)}", "dim") for standby in status.standbys
    ]
    return "\n".join(lines)


def unit_row(unit: UnitStatus) -> tuple[str, ...]:
    """A cell for each of COLUMNS."""
    cells = (
        unit.name,
        f"{unit.state}",
        str(unit.pid or "-"),
        ",".join(unit.gpus) or "-",
        " ".join(f"{name}:{port}" for name, port in unit.ports.items()),
        age(unit),
        str(unit.restarts),
        f"{unit.rss_bytes / 1e6:.0f} MB" if unit.rss_bytes else "-",
        unit.waiting_for or probe_words(unit),
        unit.last_exit.reason if unit.last_exit else "-",
    )
    return tuple(map(readable, cells))


def _table(rows: list[tuple[str, ...]], ink: Ink) -> list[str]:
    """Columns as wide as their longest cell; in a narrower terminal, cells continue on the next line.

    If not even the longest words fit side by side, each unit's cells are listed one after another.
    """
    columns = list(zip(COLUMNS, *rows, strict=True))
    widths = [max(map(len, column)) for column in columns]
    if ink.width is not None:
        longest_words = [max(len(word) for cell in column for word in cell.split() or [""]) for column in columns]
        room = ink.width - len(_GAP) * (len(widths) - 1)
        if sum(longest_words) > room:
            return [line for row in rows for line in _card(row, ink)]
        widths = _narrowed(widths, longest_words, room)
    lines = [ink.paint(_GAP.join(cells).rstrip(), "dim") for cells in _lines(COLUMNS, widths)]
    for row in rows:
        for cells in _lines(row, widths):
            cells[_STATE] = ink.paint(cells[_STATE], STATE_STYLE.get(row[_STATE], "yellow"))
            lines.append(_GAP.join(cells).rstrip())
    return lines


def _card(row: tuple[str, ...], ink: Ink) -> list[str]:
    """One unit as a headline and a paragraph of its labelled cells."""
    name, state, *rest = row
    told = ", ".join(
        f"{column} {cell}" for column, cell in zip(COLUMNS[2:], rest, strict=True) if cell not in ("", "-")
    )
    indent = " " * len(_GAP)
    lines = folded(told, None if ink.width is None else max(1, ink.width - len(indent)))
    head = f"{ink.paint(name, 'bold')} is {ink.paint(state, STATE_STYLE.get(state, 'yellow'))}"
    return [head, *(f"{indent}{line}" for line in lines if line)]


def _narrowed(widths: list[int], floors: list[int], room: int) -> list[int]:
    """Widths reduced to fit: the widest columns give up what is missing, each down to its floor."""
    widths = list(widths)
    while sum(widths) > room and (wide := [i for i, width in enumerate(widths) if width > floors[i]]):
        widths[max(wide, key=widths.__getitem__)] -= 1
    return widths


def _lines(row: tuple[str, ...], widths: list[int]) -> list[list[str]]:
    """One row with padded cells; several lines if a cell does not fit."""
    cells = [folded(cell, width) for cell, width in zip(row, widths, strict=True)]
    lines = zip_longest(*cells, fillvalue="")
    return [[part.ljust(width) for part, width in zip(line, widths, strict=True)] for line in lines]


def cluster_words(cluster: ClusterStatus) -> list[str]:
    """A line for the whole cluster, and one for each other node."""
    whole = "a frontend can route requests" if cluster.whole else cluster.detail or "no frontend yet"
    problem = f"; {cluster.problem}" if cluster.problem else ""
    lines = [f"cluster {cluster.namespace}, this node {cluster.advertise}: {whole}{problem}"]
    for peer in cluster.peers:
        planned = ", ".join(f"{count} {role}" for role, count in peer.units.items()) or "no workers"
        detail = f" ({peer.detail})" if peer.detail else ""
        served = f", {sum(peer.instances.values())} in discovery"
        lines.append(f"node {peer.advertise}: {peer.deployment} is {peer.state}{detail}, {planned}{served}")
    return lines


def standby_words(standby: StandbyStatus) -> str:
    """What the standby is for, and the memory it takes."""
    if standby.detail:
        return standby.detail
    purpose = f"{' or '.join(standby.roles)} can start from it" if standby.roles else "for what talks to the sidecar"
    if standby.state == "parking":
        return "imports what the workers share"
    if standby.state == "ended":
        return f"{standby.launched} started from it"
    stays = ", parked for the host" if standby.is_of_host else ""
    return purpose + (f", pid {standby.pid}, {standby.rss_bytes / 1e6:.0f} MB" if standby.rss_bytes else "") + stays


def in_words(unit: UnitStatus) -> str:
    """The unit's state, and what keeps it there."""
    why = (unit.waiting_for and f"waiting for {unit.waiting_for}") or (unit.probe and unit.probe.detail) or ""
    return f"{unit.name} is {unit.state}" + (f" ({why})" if why else "")


def in_full(model: str, aliases: Sequence[str]) -> str:
    """A model's name, with its aliases."""
    return f"{model} (also {', '.join(aliases)})" if aliases else model


def gpu_words(gpu: GpuStatus) -> str:
    """Memory in use by all processes, and the utilisation."""
    of_total = f"{gpu.memory_used_bytes / 1e9:.1f} of {gpu.memory_total_bytes / 1e9:.1f} GB"
    return f"GPU {gpu.id}: {of_total}" + (f", {gpu.utilisation:.0%} busy" if gpu.utilisation is not None else "")


def lora_words(units: Iterable[UnitStatus]) -> list[str]:
    """A line for each LoRA adapter: where it is loaded, and where it is missing."""
    told: dict[str, tuple[list[str], list[str]]] = {}
    for unit in units:
        for lora in unit.loras:
            told.setdefault(lora.name, ([], []))[0 if lora.loaded else 1].append(unit.name)
    return [
        f"LoRA {name}: "
        + "; ".join(f"{words} {', '.join(names)}" for words, names in (("on", on), ("missing on", off)) if names)
        for name, (on, off) in told.items()
    ]


def kv_words(kv: Mapping[str, float | int | None]) -> str:
    """What is known of the KV caches; empty if nothing is."""
    known = {name: value for name, value in kv.items() if value is not None}
    parts = []
    if "hit_rate" in known:
        parts.append(f"hit rate {known['hit_rate']:.0%} of {known.get('lookup_requested_tokens', 0):.0f} tokens")
    if "l1_usage_ratio" in known:
        used = f" ({known['l1_used_bytes'] / 1e9:.2f} GB)" if "l1_used_bytes" in known else ""
        parts.append(f"L1 {known['l1_usage_ratio']:.0%} full{used}")
    if "l2_used_bytes" in known:
        parts.append(f"L2 {known['l2_used_bytes'] / 1e9:.2f} GB")
    if "nixl_bytes_transferred" in known:
        rate = f" at {known['nixl_bytes_s'] / 1e6:.0f} MB/s" if "nixl_bytes_s" in known else ""
        parts.append(f"NIXL {known['nixl_bytes_transferred'] / 1e9:.2f} GB{rate}")
    return f"KV: {', '.join(parts)}" if parts else ""


def age(unit: UnitStatus) -> str:
    if unit.uptime_s is None:
        return "-"
    minutes, seconds = divmod(int(unit.uptime_s), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes:02}m" if hours else (f"{minutes}m{seconds:02}s" if minutes else f"{seconds}s")


def probe_words(unit: UnitStatus) -> str:
    if unit.probe is None:
        return "-"
    return f"ok {unit.probe.latency_s * 1000:.0f} ms" if unit.probe.ok else unit.probe.detail
