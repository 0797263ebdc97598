"""Custom units: programs to run next to the stack, or without one."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Discriminator, Field, Tag, model_validator
from pydantic_core import PydanticCustomError

from dynkv.profile.fields import Environment, Period, Port, PositiveInt, PositiveSeconds, Seconds, Section, Word


def _check_words(argv: list[str]) -> list[str]:
    program = argv[0]
    if not program or any("\0" in word for word in argv):
        raise PydanticCustomError("argv", "argv must begin with a program, and no word can contain a NUL character")
    if "/" in program and not program.startswith("/"):
        # as plain text: as a context, such as a hint, it would be inserted where the program's name has braces
        raise PydanticCustomError("argv", f"{program} is not an absolute path: begin with /, or give a name on PATH")
    return argv


Argv = Annotated[list[Word], Field(min_length=1), AfterValidator(_check_words)]
"""A program, by its absolute path or its name on PATH, and its arguments."""


class HttpCheck(Section):
    """A GET request, which passes with 200 to 399, like a Kubernetes httpGet probe."""

    port: Port | str
    """A number, or a name from the unit's `ports`."""
    path: Annotated[str, Field(pattern=r"^/[!-~]*$")] = "/"
    """The path to request."""
    host: Annotated[str, Field(pattern=r"^(?:[0-9A-Za-z.:_-]+|\$\{CLUSTER_ADVERTISE\})$")] = "127.0.0.1"
    """The host to ask; `${CLUSTER_ADVERTISE}` is `cluster.advertise`, or loopback without it."""


class OwnProbes(Section):
    """How to find out whether a unit is ready. Kubernetes' probe parameters; the same check applies while it starts."""

    http_get: HttpCheck
    initial_delay_seconds: Seconds = 0.0
    """Seconds before the first attempt."""
    period_seconds: Period = 5.0
    """Seconds from one attempt to the next."""
    timeout_seconds: PositiveSeconds = 5.0
    """Seconds until an attempt counts as failed."""
    success_threshold: PositiveInt = 1
    """Attempts in a row that must succeed."""
    failure_threshold: PositiveInt = 3
    """Attempts in a row that must fail."""
    startup_seconds: PositiveSeconds = 60.0
    """Seconds until the check must have passed once; several times as long if the unit accepts connections but does
    not answer."""
    restart_when_hung: bool = True
    """Whether to restart the unit if, three times in a row, it is suspended, or is unready and uses no CPU."""


class Need(Section):
    """The state that a dependency must have reached."""

    condition: Literal["started", "ready", "completed"]
    """`started`: its process runs, and its check, if any, has passed; `ready`; `completed`: a job has exited with 0."""


def _is_mapping(needs: object) -> str:
    return "mapping" if isinstance(needs, dict) else "list"


Needs = Annotated[
    Annotated[list[str], Tag("list")] | Annotated[dict[str, Need], Tag("mapping")], Discriminator(_is_mapping)
]
"""A list or a mapping, by what was written, so that a mistake is reported once."""


class OwnUnit(Section):
    """One program."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")]
    """The name, as `dynkv status` shows it."""
    kind: Literal["service", "job"] = "service"
    """A `service` runs until it is stopped. A `job` runs once: when it has exited with 0 it is completed, and its
    remaining processes are ended; after a failure it is retried according to `restart`. It may run twice if nobody
    saw how it ended."""
    argv: Argv
    """The program, by its absolute path or its name on the unit's PATH, and its arguments, one list item for each
    word; no shell is involved. `${CLUSTER_ADVERTISE}` is replaced by `cluster.advertise`, or by 127.0.0.1 without
    it. It runs in the deployment's directory."""
    env: Environment = {}
    """Variables added to those that every process of the deployment has."""
    ports: dict[str, Port] = {}
    """Ports, by names of your choice. They must be free when the unit starts, and are waited for after it has died."""
    probes: OwnProbes | None = None
    """How to check the unit. Without them it is ready as soon as it runs. A job has none."""
    depends_on: Needs = []
    """Units that must be ready, and jobs that must be completed, before this unit starts; or a mapping of their
    names to `condition`."""
    before: list[str] = []
    """Units, or roles of the stack such as `worker` or `lmcache`, that start only when this one is ready or
    completed."""
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
            # as plain text: see above
            raise PydanticCustomError(
                "job", "probes: a job is completed when it has exited with 0, and is never probed"
            )
        return self

    @property
    def needs(self) -> dict[str, str | None]:
        """The required condition of each dependency; None if only names are given."""
        if isinstance(self.depends_on, list):
            return dict.fromkeys(self.depends_on)
        return {name: need.condition for name, need in self.depends_on.items()}

    @property
    def probed_port(self) -> int | None:
        """The number of the probed port; None without probes."""
        port = self.probes.http_get.port if self.probes else None
        return self.ports[port] if isinstance(port, str) else port
