"""Custom units: any program that is to run beside the stack, or without one."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Discriminator, Field, Tag, model_validator
from pydantic_core import PydanticCustomError

from dynkv.profile.fields import Environment, Period, Port, PositiveInt, PositiveSeconds, Seconds, Section, Word


def _check_words(argv: list[str]) -> list[str]:
    program = argv[0]
    if not program or any("\0" in word for word in argv):
        raise PydanticCustomError("argv", "argv begins with a program, and no word can hold a NUL character")
    if "/" in program and not program.startswith("/"):
        # as text alone: a context, such as a hint, would be put in where the program's name has braces
        raise PydanticCustomError("argv", f"{program} is not a whole path: begin with /, or give a name on PATH")
    return argv


Argv = Annotated[list[Word], Field(min_length=1), AfterValidator(_check_words)]
"""A program, by its whole path or by its name on PATH, and its arguments."""


class HttpCheck(Section):
    """GET, which passes with 200 to 399, as a Kubernetes httpGet probe does."""

    port: Port | str
    """A number, or a name from the unit's `ports`."""
    path: Annotated[str, Field(pattern=r"^/[!-~]*$")] = "/"
    """The path that is requested."""
    host: Annotated[str, Field(pattern=r"^(?:[0-9A-Za-z.:_-]+|\$\{CLUSTER_ADVERTISE\})$")] = "127.0.0.1"
    """Where it is asked; `${CLUSTER_ADVERTISE}` is `cluster.advertise`, or loopback without."""


class OwnProbes(Section):
    """How a unit is asked whether it is ready. Kubernetes' probe parameters; the same check serves while it starts."""

    http_get: HttpCheck
    initial_delay_seconds: Seconds = 0.0
    """Before the first try."""
    period_seconds: Period = 5.0
    """From one try to the next."""
    timeout_seconds: PositiveSeconds = 5.0
    """After which a try counts as failed."""
    success_threshold: PositiveInt = 1
    """Tries in a row that have to pass."""
    failure_threshold: PositiveInt = 3
    """Tries in a row that have to fail."""
    startup_seconds: PositiveSeconds = 60.0
    """How long it may take until the check first passes; several times that where it accepts and does not answer."""
    restart_when_hung: bool = True
    """Whether it is restarted when, three times in a row, it is stopped, or is unready and uses no CPU."""


class Need(Section):
    """How far a unit has to be."""

    condition: Literal["started", "ready", "completed"]
    """`started`: its process runs, and its check has passed where it has one; `ready`; `completed`: a job has ended
    well."""


def _is_mapping(needs: object) -> str:
    return "mapping" if isinstance(needs, dict) else "list"


Needs = Annotated[
    Annotated[list[str], Tag("list")] | Annotated[dict[str, Need], Tag("mapping")], Discriminator(_is_mapping)
]
"""Told apart by what was written, so that a mistake is one mistake."""


class OwnUnit(Section):
    """One program."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")]
    """As `dynkv status` shows it."""
    kind: Literal["service", "job"] = "service"
    """A `service` is to run for ever. A `job` runs once: when it has exited with 0 it is completed, and what is left of
    its processes is ended; when it has failed it is tried again, as `restart` has it. It may run twice where nobody
    saw how it ended."""
    argv: Argv
    """The program, by its whole path or by its name on the unit's PATH, and its arguments, one list item for each word;
    no shell reads them. `${CLUSTER_ADVERTISE}` in it is `cluster.advertise`, or 127.0.0.1 without. It runs in the
    deployment's directory."""
    env: Environment = {}
    """Added to the environment that every process of the deployment has."""
    ports: dict[str, Port] = {}
    """By a name that you choose. They have to be free when the unit starts, and are waited for when it has died."""
    probes: OwnProbes | None = None
    """Without them it is ready as soon as it runs. A job has none."""
    depends_on: Needs = []
    """Units that have to be ready, and jobs that have to be completed, before this one starts; or a mapping of their
    names to `condition`."""
    before: list[str] = []
    """Units, or roles of the stack, which start only when this one is ready, or completed: `worker` or `lmcache`."""
    stop_timeout_s: PositiveSeconds = 10.0
    """Seconds from SIGTERM to SIGKILL."""

    @model_validator(mode="after")
    def _port_is_known(self) -> Self:
        port = self.probes.http_get.port if self.probes else None
        if isinstance(port, str) and port not in self.ports:
            raise PydanticCustomError("port", f"units: {self.name} has no port named {port!r}")
        return self

    @model_validator(mode="after")
    def _a_job_is_not_asked(self) -> Self:
        if self.kind == "job" and self.probes is not None:
            # as text alone: see above
            raise PydanticCustomError("job", "probes: a job is completed when it has exited with 0, and is never asked")
        return self

    @property
    def needs(self) -> dict[str, str | None]:
        """How far other units have to be; None where only their names are given."""
        if isinstance(self.depends_on, list):
            return dict.fromkeys(self.depends_on)
        return {name: need.condition for name, need in self.depends_on.items()}

    @property
    def probed_port(self) -> int | None:
        """The number of the port that is asked; None without probes."""
        port = self.probes.http_get.port if self.probes else None
        return self.ports[port] if isinstance(port, str) else port
