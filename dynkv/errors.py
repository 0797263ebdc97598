"""Every error that dynkv raises on purpose, with its exit code.

An error says what happened, where (a file, a unit), why it matters if that is not obvious, and what to do next. The
command line prints exactly these parts; nothing else turns an error into text.
"""

from __future__ import annotations

from collections.abc import Sequence

EXIT_CODES = {
    0: "done",
    1: "the deployment or a unit failed",
    2: "usage, or an invalid profile",
    3: "no such deployment, or it is not running",
    4: "preflight refused",
    5: "timed out",
    130: "ended by Ctrl-C",
}


class DynkvError(Exception):
    """Base class of all errors: the deployment or a unit failed."""

    exit_code = 1

    def __init__(self, what: str, *, where: str = "", hint: str = "", detail: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.hint = hint
        self.detail = detail
        """Lines worth seeing below the message: a source line, a log's tail."""


class UnitFailed(DynkvError):
    """A unit died while the deployment came up."""

    def __init__(self, unit: str, reason: str, *, log: str, tail: str, hint: str = "") -> None:
        super().__init__(
            f"{unit} died during start: {reason}",
            where=log,
            hint=hint or f"read the whole log: {log}",
            detail=tail,
        )
        self.unit = unit


class Fault(DynkvError):
    """Something that dynkv did not expect."""

    def __init__(self, error: Exception) -> None:
        super().__init__(
            f"{type(error).__name__}: {error}",
            hint="this is a fault in dynkv; please report it with what `dynkv --debug …` prints",
        )


class HostFailed(DynkvError):
    """The kernel refused a call for a reason that no check had looked for."""

    def __init__(self, error: OSError | MemoryError) -> None:
        what, where = (error.strerror, error.filename) if isinstance(error, OSError) else ("no memory is left", None)
        super().__init__(
            f"this host refused a call: {what or error}",
            where=str(where or ""),
            hint="look at the disk, its rights and this user's limits (`ulimit -a`); `dynkv --debug …` shows the call",
        )


class OutputLost(DynkvError):
    """The requested output could not be written."""

    def __init__(self, error: OSError) -> None:
        super().__init__(
            f"the output cannot be written: {error.strerror}", hint="look at where it goes: a full disk, a closed file?"
        )


class IllegalTransition(DynkvError):
    """A unit was told to go from one state to another that cannot follow it."""

    def __init__(self, unit: str, old: str, new: str) -> None:
        super().__init__(
            f"{unit} cannot go from {old} to {new}",
            hint="this is a fault in dynkv; please report it with the deployment's events.jsonl",
        )


class UsageError(DynkvError):
    """The command line asks for something that makes no sense."""

    exit_code = 2


class ExtraMissing(UsageError):
    """Something needs a package that an extra brings."""

    def __init__(self, what: str, module: str, command: str) -> None:
        super().__init__(f"{what} needs {module}, which is not installed", hint=command)


class ProgramMissing(UsageError):
    """Something needs a program from PyPI that is neither in the stack's environment nor on PATH."""

    def __init__(self, what: str, program: str) -> None:
        super().__init__(
            f"{what} needs the program {program}, which is not installed",
            hint=f"`pipx install {program}` or `uv tool install {program}`, to keep its pins apart from the stack's",
        )


class ProfileError(DynkvError):
    """A profile, or an override of one, is invalid."""

    exit_code = 2


class ScriptError(DynkvError):
    """A launch script cannot be read, or no profile can express it."""

    exit_code = 2

    def __init__(self, what: str, line: int | None = None, *, hint: str = "", detail: str = "") -> None:
        super().__init__(what, where="" if line is None else f"line {line}", hint=hint, detail=detail)
        self.line = line

    def of(self, script: str) -> ScriptError:
        """The same error with the script's path."""
        self.where = script if self.line is None else f"{script}:{self.line}"
        return self


class TraceError(DynkvError):
    """A file is not a trace of requests."""

    exit_code = 2

    def __init__(self, what: str, line: int | None = None, *, file: str = "", hint: str = "") -> None:
        place = [file] if file else []
        super().__init__(what, where=", ".join([*place, *([] if line is None else [f"line {line}"])]), hint=hint)
        self.line = line


class UnknownProfile(ProfileError):
    """No shipped profile has that name, and it is not the path of a file."""

    def __init__(self, name: str, known: list[str], nearest: str | None) -> None:
        super().__init__(
            f"no profile named {name!r}",
            hint=(f"did you mean {nearest!r}? " if nearest else "")
            + f"shipped: {', '.join(known)}; or give the path of a YAML file",
        )


class UnknownDeployment(DynkvError):
    """No deployment of that name has ever been started here."""

    exit_code = 3

    def __init__(self, name: str, known: list[str]) -> None:
        super().__init__(
            f"no deployment named {name!r}",
            hint=f"available: {', '.join(known)}" if known else "start one with `dynkv up agg`",
        )


class NotYours(DynkvError):
    """The deployment belongs to another user."""

    exit_code = 3

    def __init__(self, name: str, owner: int) -> None:
        super().__init__(
            f"deployment {name!r} belongs to uid {owner}", hint="run dynkv as that user; root, too, has only its own"
        )


class NotRunning(DynkvError):
    """The deployment, or every deployment, is stopped."""

    exit_code = 3

    def __init__(self, name: str | None = None) -> None:
        what = f"deployment {name!r} is not running" if name else "no deployment is running"
        super().__init__(what, hint="start one with `dynkv up agg`; `dynkv profiles` lists the profiles")


class JournalLost(DynkvError):
    """A deployment's supervisor is dead and its journal cannot be read."""

    def __init__(self, name: str, processes: int) -> None:
        super().__init__(
            f"the supervisor of {name!r} is dead and its journal damaged; {processes} of its processes still run",
            hint=f"`dynkv down {name}` ends them; `dynkv up … --replace` also starts it again",
        )


class PreflightRefused(DynkvError):
    """The host cannot run this plan as it is; nothing was started."""

    exit_code = 4


class PortTaken(PreflightRefused):
    """Another process listens on a port that clients rely on, and that is therefore never moved."""

    def __init__(self, port: int, holder: str, *, key: str, where: str = "") -> None:
        super().__init__(
            f"port {port} ({key}) is taken by {holder}",
            where=where,
            hint=f"stop that process, or choose another port: --set {key}={port + 1}",
        )
        self.port = port


class AlreadyRunning(PreflightRefused):
    """A deployment of that name has a running supervisor."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"deployment {name!r} is already running",
            hint=f"`dynkv status {name}` shows it, `dynkv down {name}` ends it; --name starts another one",
        )


class NotUnderstood(PreflightRefused):
    """Processes of the deployment may still serve, and nothing readable says whether they must be ended."""

    def __init__(self, name: str, processes: Sequence[str]) -> None:
        super().__init__(
            f"processes of {name!r} run without a supervisor, and its journal cannot be understood",
            detail="\n".join(f"  {process}" for process in processes),
            hint=f"`dynkv down {name}` ends them; `dynkv up … --replace` also starts it again",
        )


class TimedOut(DynkvError):
    """What the command waited for did not happen in time."""

    exit_code = 5
