"""Every verb: its purpose, and its file. Imports nothing, so that help appears at once."""


class Verb:
    """A verb. `short` fits half a line of the help; `--help` says more. File and function have the verb's name by
    default."""

    __slots__ = ("file", "function", "group", "name", "short")

    def __init__(self, group: str, name: str, short: str, file: str = "", function: str = "") -> None:
        self.group = group
        self.name = name
        self.short = short
        self.file = file or name
        self.function = function or name


RUN, WATCH, PREPARE = "Run", "Watch", "Prepare"

VERBS = (
    Verb(RUN, "up", "start it, or change it"),
    Verb(RUN, "down", "take all of it down"),
    Verb(RUN, "wait", "return when it is ready"),
    Verb(RUN, "restart", "restart units"),
    Verb(RUN, "start", "start what was stopped"),
    Verb(RUN, "stop", "stop units, until `start`"),
    Verb(RUN, "scale", "fewer workers, all again"),
    Verb(RUN, "park", "keep imports for next `up`"),
    Verb(WATCH, "status", "its state; --json, --watch"),
    Verb(WATCH, "top", "live: metrics, units, logs"),
    Verb(WATCH, "logs", "logs of units; -f follows"),
    Verb(WATCH, "events", "what happened, and why"),
    Verb(WATCH, "observe", "for Prometheus and Grafana"),
    Verb(WATCH, "record", "record traffic for replay"),
    Verb(PREPARE, "stack", "install Dynamo and vLLM"),
    Verb(PREPARE, "profiles", "list or print profiles", "plan"),
    Verb(PREPARE, "init", "write a profile"),
    Verb(PREPARE, "plan", "what `up` would start"),
    Verb(PREPARE, "diff", "what `up` would change"),
    Verb(PREPARE, "doctor", "can this host run it?"),
    Verb(PREPARE, "bench", "which profile is faster"),
    Verb(PREPARE, "advise", "which caches would help"),
    Verb(PREPARE, "export", "to k8s, Compose, systemd"),
    Verb(PREPARE, "import", "from a Kubernetes graph", "graph", "import_graph"),
    Verb(PREPARE, "completion", "for bash, zsh or fish", "shells"),
)
"""All verbs, in the order of the help."""
