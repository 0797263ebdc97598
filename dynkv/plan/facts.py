"""What the plan has to know about the host. Gathered by doctor/inspect.py; plain data here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from dynkv.plan.gpus import Driver, Gpu
from dynkv.profile.words import OptionTable


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What lies at the model's path; `is_local` is False for an id that a hub would resolve."""

    is_local: bool
    has_config: bool
    path: str = ""
    """Absolute, of a local model."""
    real_path: str = ""
    """Where links lead from there, which is what Dynamo tells others; empty without any."""
    is_there: bool = True
    """Something lies there."""
    is_file: bool = False
    has_params: bool = False
    """It has what Mistral's own format has instead of config.json: params.json, and weights beside it."""


@dataclass(frozen=True, slots=True)
class PathFacts:
    """What the paths that a person writes begin at."""

    working_directory: str | None = "/"
    """None where there is none: it was removed, or may not be looked at."""
    homes: dict[str, str] = field(default_factory=lambda: {"": "/"})
    """By user, of those whom the profile names as `~user`; the person's own by an empty name. Those that there are."""


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """The model's files where they are on this host: in a directory, or in the hub's cache."""

    config: Mapping[str, Any] | None = None
    """config.json; None if it cannot be read."""
    config_problem: str = ""
    tokenizer: str = "tokenizer.json"
    """The file that it is read from; empty where there is none."""
    has_chat_template: bool = True
    weights_bytes: int = 0
    missing_weights: tuple[str, ...] = ()
    """Files that the index of the weights names, and that are not there."""
    only_gguf: bool = False
    """All weights are in GGUF."""
    is_what_dynamo_finds: bool = True
    """Of a model of the hub: without regard to the revision that vLLM is told, Dynamo takes the same files."""


@dataclass(frozen=True, slots=True)
class LoraFacts:
    """What lies at a local LoRA adapter's path."""

    rank: int | None = None
    problem: str = ""
    """Why it cannot be one, in words."""


class LeftoverKind(StrEnum):
    PROCESSES = "processes"
    FILES = "files"


@dataclass(frozen=True, slots=True)
class Leftover:
    """What a deployment without a supervisor has left: its processes, or files that only a running one needs."""

    deployment: str
    kind: LeftoverKind
    what: tuple[str, ...]
    """Each process in words, or each path."""


@dataclass(frozen=True, slots=True)
class HostFacts:
    """A snapshot of the host, taken once before planning."""

    gpus: tuple[Gpu, ...] = ()
    cpus: tuple[int, ...] = (0,)
    """The numbers of the CPUs that may be used."""
    cpus_worth: int | None = None
    """How many of them may be busy at a time, where control groups allow fewer."""
    memory_available_bytes: int = 0
    taken_ports: dict[int, str] = field(default_factory=dict)
    """Every port that something listens on or another deployment has planned, with its holder in words."""
    kept_ports: dict[str, int] = field(default_factory=dict)
    """Ports, as `unit.name`, of children of a dead supervisor that may be taken over: they keep them."""
    environ: dict[str, str] = field(default_factory=dict)
    """The person's environment, without secrets."""
    secret_names: tuple[str, ...] = ()
    """Names of secrets in the person's environment that units may be given."""
    python: str = "python3"
    """The interpreter that holds the stack."""
    python_options: tuple[str, ...] = ("-P",)
    """What keeps it from importing from where it runs."""
    scripts_directory: str = "/dynkv/instack"
    """Where the scripts lie that it runs for dynkv."""
    packages: dict[str, str] = field(default_factory=dict)
    """Versions of the stack's packages in that interpreter, by distribution name."""
    outdated_stack: str = ""
    """Its kind, where `dynkv stack install` brought it and would bring other versions now."""
    worker_options: OptionTable | None = None
    """What the parsers of that interpreter's worker know, where it is not what dynkv knows of them anyway."""
    model: ModelFacts = ModelFacts(is_local=False, has_config=False)
    paths: PathFacts = PathFacts()
    unwritable: dict[str, str] = field(default_factory=dict)
    """L2 directories, as the profile names them, that cannot be written, with the reason."""
    driver: Driver = field(default_factory=Driver)
    model_files: ModelFiles | None = None
    """None where none are on this host yet, or dynkv makes them itself."""
    loras: dict[str, LoraFacts] = field(default_factory=dict)
    """Those that are local, by name."""
    shm_free_bytes: int | None = None
    """Of /dev/shm."""
    hugepages_free_bytes: int = 0
    """In huge pages of 2 MiB that nobody has taken."""
    home_free_bytes: int | None = None
    """Of the disk that DYNKV_HOME is on."""
    l2_room_bytes: dict[str, int] = field(default_factory=dict)
    """By L2 directory, as the profile names it: what is free on its disk, and what it holds already."""
    l2_held_bytes: dict[str, int] = field(default_factory=dict)
    """What it holds already."""
    open_files_max: int | None = None
    """The soft limit that children begin with."""
    is_wsl: bool = False
    """Windows' Linux subsystem."""
    ignored_environ: tuple[str, ...] = ()
    """Names in the person's environment that no child is given, because they would do harm."""
    dropped_environ: tuple[str, ...] = ()
    """Names in the person's environment that the stack reads, and no child is given."""
    is_taken_over: bool = False
    """Processes of this deployment run without a supervisor: they will be taken over or ended."""
    leftovers: tuple[Leftover, ...] = ()
    """Of all deployments in this DYNKV_HOME."""
    other_users: tuple[str, ...] = ()
    """People, by name, who have processes on this host; no system accounts."""
    pidfd_problem: str = ""
    """Why no process can be held by a pidfd here, in a sentence."""
    proc_problem: str = ""
    """What /proc does not tell here, in a sentence."""
    subreaper_problem: str = ""
    """Why no process can be given orphans here, in a sentence."""
