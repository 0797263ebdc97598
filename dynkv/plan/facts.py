"""What the plan has to know about the host. Gathered by doctor/host.py; plain data here."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU or a MIG slice that a worker can be given."""

    index: int
    uuid: str
    name: str
    memory_total_bytes: int
    memory_free_bytes: int
    is_mig: bool = False

    @property
    def visible_as(self) -> str:
        """Its id in CUDA_VISIBLE_DEVICES: a MIG slice has no index of its own there."""
        return self.uuid if self.is_mig else str(self.index)


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What lies at the model's path; `is_local` is False for an id that a hub would resolve."""

    is_local: bool
    has_config: bool
    path: str = ""
    """Absolute, of a local model."""


@dataclass(frozen=True, slots=True)
class HostFacts:
    """A snapshot of the host, taken once before planning."""

    gpus: tuple[Gpu, ...] = ()
    cpus: tuple[int, ...] = (0,)
    """The numbers of the CPUs that may be used."""
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
    packages: dict[str, str] = field(default_factory=dict)
    """Versions of the stack's packages in that interpreter, by distribution name."""
    model: ModelFacts = ModelFacts(is_local=False, has_config=False)
    unwritable: dict[str, str] = field(default_factory=dict)
    """L2 directories, as the profile names them, that cannot be written, with the reason."""
