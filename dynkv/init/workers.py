"""A worker in a script: which of its arguments become keys of the profile, and which remain arguments."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct, field
from msgspec.structs import replace

from dynkv.bash.values import is_known, readable
from dynkv.errors import ScriptError
from dynkv.init.connectors import Connectors, of_config, of_names
from dynkv.init.given import Argument, arguments, whole
from dynkv.init.programs import Kind, Program
from dynkv.profile.arguments import REFUSED_ARGS, RESERVED_ARGS, WORKER_OPTIONS

NUMBERS = {
    "--max-model-len": "model.max_length",
    "--tensor-parallel-size": "workers.tensor_parallel_size",
    "--pipeline-parallel-size": "workers.pipeline_parallel_size",
    "--data-parallel-size": "workers.data_parallel_size",
    "--gpu-memory-utilization": "workers.gpu_memory_fraction",
    "--block-size": "workers.block_size",
}
"""Options whose number becomes the value of a key."""
_TASKS = {"--embedding-worker": "embed", "--classify-worker": "classify", "--realtime": "realtime"}
"""Options that determine what a worker is used for, with the task that replaces them."""
_RANKS = frozenset("--data-parallel-rank --data-parallel-start-rank".split())
_TOGETHER = frozenset(
    "--data-parallel-address --data-parallel-rpc-port --data-parallel-external-lb --data-parallel-hybrid-lb "
    "--data-parallel-size-local".split()
)
"""Options that make separate processes the ranks of one engine; for dynkv a worker is one process tree and needs
none."""
_MANY_MACHINES = frozenset("--nnodes --node-rank --master-addr --master-port --headless".split())
MULTIMODAL = "--enable-multimodal"
_OLD_ROLES = {
    "--multimodal-worker": "worker",
    "--multimodal-encode-prefill-worker": "worker",
    "--multimodal-decode-worker": "decode",
    "--multimodal-encode-worker": "encode",
    "--multimodal-audio-encode-worker": "encode",
    "--vllm-native-encoder-worker": "encode",
    "--multimodal-processor": "processor",
    "--ec-processor": "processor",
}
"""How a worker was given its role before Dynamo 1.6, whose frontend now does the work of processors."""


class Worker(Struct):
    program: Program
    role: str = "worker"
    """Its role, which dynkv may not have, such as `encode`."""
    model: str = ""
    served_names: tuple[str, ...] = ()
    numbers: dict[str, int | float] = field(default_factory=dict)
    """Numbers by key."""
    connectors: Connectors = field(default_factory=Connectors)
    publishes_events: bool = False
    rank: int | None = None
    is_older_multimodal: bool = False
    """Whether its role is given as before Dynamo 1.6."""
    task: str = ""
    """The value for `model.task`, unless it generates."""
    args: list[Argument] = field(default_factory=list)
    planned: set[str] = field(default_factory=set)
    """Options that the plan sets."""
    left_out: list[tuple[int, str]] = field(default_factory=list)

    @property
    def gpus(self) -> list[int | str]:
        """The GPUs; empty if the script does not say, or only at run time."""
        listed = self.program.env.get("CUDA_VISIBLE_DEVICES", "")
        names = [gpu.strip() for gpu in listed.split(",") if gpu.strip() and is_known(listed)]
        return [name if (index := whole(name)) is None else index for name in names]

    @property
    def is_own_role(self) -> bool:
        """Whether dynkv has that role."""
        return self.role in ("worker", "decode", "prefill")

    def add_flag(self, flag: str) -> None:
        if not any(argument.name == flag for argument in self.args):
            self.args.append(Argument(flag, (flag,), True))

    def leave_out(self, argument: Argument, why: str) -> None:
        self.left_out.append((self.program.line, f"{argument.shown()}: {why}"))


def worker(program: Program) -> Worker:
    """The worker of a program. Raises ScriptError for what no profile can express."""
    found = Worker(program)
    if not is_known(gpus := program.env.get("CUDA_VISIBLE_DEVICES", "")):
        found.left_out.append(
            (program.line, f"CUDA_VISIBLE_DEVICES={readable(gpus)}: list the GPUs under workers.gpus")
        )
    for argument in arguments(program.args, WORKER_OPTIONS):
        _take(found, argument)
    if found.is_older_multimodal:
        found.add_flag(MULTIMODAL)
    return found


def _take(found: Worker, argument: Argument) -> None:
    line, name = found.program.line, argument.name
    if name in _MANY_MACHINES:
        raise ScriptError(f"{argument.shown()} spreads a worker over machines, but a deployment runs on one", line)
    if not argument.is_known:
        found.leave_out(argument, "its value is known only at run time")
    elif name in NUMBERS:
        _take_number(found, argument)
    elif name in _OLD_ROLES:
        found.role = _OLD_ROLES[name] if found.role == "worker" else found.role
        found.is_older_multimodal = True
        found.leave_out(argument, f"an option from before Dynamo 1.6, now {MULTIMODAL}")
    elif name in _TASKS:
        found.task = _TASKS[name]
    elif name in RESERVED_ARGS:
        _take_reserved(found, argument)
    elif name in _RANKS:
        found.rank = whole(argument.value)
        found.planned.add(name)
    elif name in _TOGETHER:
        found.planned.add(name)
    elif name in REFUSED_ARGS:
        found.leave_out(argument, REFUSED_ARGS[name])
    elif argument.is_option_known or found.program.kind is Kind.MOCKER:
        found.args.append(argument)
    else:
        found.leave_out(argument, "vllm 0.31.0 and ai-dynamo 1.6.1 have no such option")


def _take_number(found: Worker, argument: Argument) -> None:
    number = argument.number
    if number is None:
        found.leave_out(argument, f"set {NUMBERS[argument.name]} to the number you want")
    else:
        found.numbers[NUMBERS[argument.name]] = number


def _take_reserved(found: Worker, argument: Argument) -> None:
    match argument.name:
        case "--model" | "--model-path":
            found.model = argument.value
        case "--served-model-name" | "--model-name":
            found.served_names = argument.values
        case "--disaggregation-mode":
            found.role = {"agg": "worker", "aggregated": "worker"}.get(argument.value, argument.value)
        case "--is-prefill-worker" | "--is-decode-worker":
            found.role = argument.name.removeprefix("--is-").removesuffix("-worker")
        case "--connector":
            found.connectors = of_names(argument.values)
        case "--kv-transfer-config":
            found.connectors = of_config(argument.mapping)
            found.planned.add(argument.name)
        case "--kv-events-config":
            found.publishes_events = argument.mapping.get("enable_kv_cache_events", True) is not False
            found.planned.add(argument.name)
        case "--device-ids":
            found.leave_out(argument, "list the GPUs under workers.gpus")
        case _:
            found.planned.add(argument.name)


def refuse_connectors(workers: list[Worker]) -> None:
    """Raise ScriptError for connectors that no profile can express."""
    for one in workers:
        if one.connectors.others:
            name = one.connectors.others[0] or "a connector without a name"
            raise ScriptError(
                f"{name} keeps the KV blocks of this worker, but dynkv supports only LMCache and NIXL",
                one.program.line,
                hint="`dynkv plan agg` shows how dynkv keeps KV blocks",
            )


def as_ranks(workers: list[Worker]) -> Iterator[Worker]:
    """The workers, with processes that are data parallel ranks of one engine merged into one.

    Raises ScriptError if some of the ranks are elsewhere.
    """
    ranked: dict[tuple[str, ...], list[Worker]] = {}
    for one in workers:
        if one.rank is None:
            yield one
        else:
            ranked.setdefault((one.role, *(argument.shown() for argument in one.args)), []).append(one)
    for group in ranked.values():
        first, size = group[0], int(group[0].numbers.get("workers.data_parallel_size", 1))
        if sorted(one.rank or 0 for one in group) != list(range(size)):
            raise ScriptError(
                f"{len(group)} of the {size} data parallel ranks start here, but a deployment needs all of them",
                first.program.line,
            )
        gpus = ",".join(str(gpu) for one in sorted(group, key=lambda it: it.rank or 0) for gpu in one.gpus)
        if gpus:
            first.program = replace(first.program, env={**first.program.env, "CUDA_VISIBLE_DEVICES": gpus})
        yield first
