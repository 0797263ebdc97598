"""What the plan needs to know about the host, as plain data. Gathered by doctor/inspect.py."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from msgspec import Struct, field

from dynkv.plan.gpus import Driver, Gpu
from dynkv.profile.words import OptionTable


class ModelFacts(Struct, frozen=True):
    """The model at its path; `is_local` is False for an id that a hub would resolve."""

    is_local: bool
    has_config: bool
    path: str = ""
    """Absolute path of a local model."""
    real_path: str = ""
    """Where links lead from there, which is what Dynamo tells others; empty without any."""
    is_there: bool = True
    """Whether anything exists at the path."""
    is_file: bool = False
    has_params: bool = False
    """Whether it is in Mistral's own format, with params.json and weights instead of config.json."""


class PathFacts(Struct, frozen=True):
    """The starting points of paths that a person writes."""

    working_directory: str | None = "/"
    """None if it was removed or cannot be accessed."""
    homes: dict[str, str] = field(default_factory=lambda: {"": "/"})
    """Existing home directories of the users that the profile names as `~user`; the person's own under an empty
    name."""


class ModelFiles(Struct, frozen=True):
    """The model's files on this host, in a directory or in the hub's cache."""

    config: Mapping[str, Any] | None = None
    """Contents of config.json; None if it cannot be read."""
    config_problem: str = ""
    tokenizer: str = "tokenizer.json"
    """The file with the tokenizer; empty if there is none."""
    has_chat_template: bool = True
    weights_bytes: int = 0
    missing_weights: tuple[str, ...] = ()
    """Files that the index of the weights lists but that are missing."""
    only_gguf: bool = False
    """Whether all weights are in GGUF."""
    is_what_dynamo_finds: bool = True
    """For a model of the hub, whether Dynamo finds the same files: it ignores the revision that vLLM uses."""


class LoraFacts(Struct, frozen=True):
    """What is at a local LoRA adapter's path."""

    rank: int | None = None
    problem: str = ""
    """Why it is not an adapter, in words."""


class LeftoverKind(StrEnum):
    PROCESSES = "processes"
    FILES = "files"


class Leftover(Struct, frozen=True):
    """Processes that a deployment without a supervisor has left, or files that only a running one needs."""

    deployment: str
    kind: LeftoverKind
    what: tuple[str, ...]
    """Each process in words, or each path."""


class HostFacts(Struct, frozen=True):
    """A snapshot of the host, taken once before planning."""

    gpus: tuple[Gpu, ...] = ()
    cpus: tuple[int, ...] = (0,)
    """Numbers of the CPUs that may be used."""
    cpus_worth: int | None = None
    """How many of them may be busy at a time, if control groups allow fewer."""
    memory_available_bytes: int = 0
    parked_bytes: int = 0
    """Memory of the imports that are parked for the host: `up` needs no more for those."""
    taken_ports: dict[int, str] = field(default_factory=dict)
    """Each port that is in use or planned by another deployment, with its holder in words."""
    kept_ports: dict[str, int] = field(default_factory=dict)
    """Ports, by `unit.name`, that children of a dead supervisor keep if they are taken over."""
    environ: dict[str, str] = field(default_factory=dict)
    """The person's environment, without secrets."""
    secret_names: tuple[str, ...] = ()
    """Names of secrets in the person's environment that units may get."""
    python: str = "python3"
    """The interpreter that has the stack."""
    python_options: tuple[str, ...] = ("-P",)
    """Options that keep it from importing from its working directory."""
    scripts_directory: str = "/dynkv/instack"
    """The directory of the scripts that it runs for dynkv."""
    packages: dict[str, str] = field(default_factory=dict)
    """Versions of the stack's packages in that interpreter, by distribution name."""
    outdated_stack: str = ""
    """The kind of the stack, if `dynkv stack install` installed it and would now install other versions."""
    worker_options: OptionTable | None = None
    """Options of that interpreter's worker, if they differ from those that dynkv knows."""
    model: ModelFacts = ModelFacts(is_local=False, has_config=False)
    paths: PathFacts = PathFacts()
    unwritable: dict[str, str] = field(default_factory=dict)
    """L2 directories, as in the profile, that cannot be written to, with the reason."""
    driver: Driver = field(default_factory=Driver)
    model_files: ModelFiles | None = None
    """None if there are none on this host yet, or dynkv makes them."""
    loras: dict[str, LoraFacts] = field(default_factory=dict)
    """Local LoRA adapters, by name."""
    shm_free_bytes: int | None = None
    """Free space in /dev/shm."""
    hugepages_free_bytes: int = 0
    """Free huge pages of 2 MiB, in bytes."""
    home_free_bytes: int | None = None
    """Free space on the disk of DYNKV_HOME."""
    l2_room_bytes: dict[str, int] = field(default_factory=dict)
    """By L2 directory, as in the profile: free space on its disk plus what it holds already."""
    l2_held_bytes: dict[str, int] = field(default_factory=dict)
    """What each L2 directory holds already."""
    open_files_max: int | None = None
    """The soft limit that children start with."""
    is_wsl: bool = False
    """Whether this is the Windows Subsystem for Linux."""
    ignored_environ: tuple[str, ...] = ()
    """Names in the person's environment that no child gets because they would do harm."""
    dropped_environ: tuple[str, ...] = ()
    """Names in the person's environment that the stack reads and no child gets."""
    is_taken_over: bool = False
    """Whether processes of this deployment run without a supervisor; they will be taken over or ended."""
    leftovers: tuple[Leftover, ...] = ()
    """Leftovers of all deployments in this DYNKV_HOME."""
    other_users: tuple[str, ...] = ()
    """Names of people, not system accounts, who have processes on this host."""
    pidfd_problem: str = ""
    """Why pidfds do not work here, in a sentence."""
    proc_problem: str = ""
    """What is missing in /proc here, in a sentence."""
    subreaper_problem: str = ""
    """Why no process can become a subreaper here, in a sentence."""
