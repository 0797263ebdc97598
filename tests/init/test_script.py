"""From launch scripts to profiles. The scripts were written for these tests, with the constructs of Dynamo's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hosts import host

from dynkv.errors import ScriptError
from dynkv.init.conversion import Conversion
from dynkv.init.script import converted
from dynkv.plan.build import build
from dynkv.profile.load import load

HEAD = """\
set -e
trap 'kill 0' EXIT
source "$(dirname "$0")/../common/gpu_utils.sh"
MODEL=${MODEL:-org/model}
MORE=()
while [[ $# -gt 0 ]]; do
  case $1 in
    --model) MODEL=$2; shift 2 ;;
    *) MORE+=("$1"); shift ;;
  esac
done
"""
FRONTEND = "python -m dynamo.frontend &\n"
ROUTER = "python3 -m dynamo.frontend --router-mode kv --http-port ${PORT:-8001} &\n"
WORKER = 'python -m dynamo.vllm --model "$MODEL" "${MORE[@]}" &\nwait\n'
EVENTS = """'{"publisher": "zmq", "endpoint": "tcp://*:20080", "enable_kv_cache_events": true}'"""
NIXL = """'{"kv_connector": "NixlConnector", "kv_role": "kv_both"}'"""


def convert(text: str, *arguments: str, **environ: str) -> Conversion:
    return converted(text, "/there/launch.sh", arguments, environ)


def data(text: str, *arguments: str, **environ: str) -> Any:
    found = convert(text, *arguments, **environ).draft.data()
    return {key: value for key, value in found.items() if key != "description"}


def left_out(text: str, *arguments: str) -> list[str]:
    return [f"{remark.line}: {remark.text}" for remark in convert(text, *arguments).left_out]


def test_one_worker() -> None:
    assert data(HEAD + FRONTEND + WORKER) == {
        "topology": "agg",
        "model": {"path": "org/model"},
        "workers": {"gpu_memory_fraction": 0.92, "replicas": 1},
        "lmcache": {"enabled": False},
    }


def test_arguments_of_the_script_and_variables_count() -> None:
    text = HEAD + FRONTEND + WORKER
    assert data(text, "--model", "mine", "--max-num-seqs", "2")["model"] == {
        "path": "mine",
        "args": ["--max-num-seqs", "2"],
    }
    assert data(text, MODEL="theirs")["model"] == {"path": "theirs"}


def test_options_that_are_keys_become_keys_however_they_are_written() -> None:
    words = "--max_model_len=4096 -tp 2 -pp 2 -dp 2 --gpu-memory-util .8 --block-size 64 --served-model-name a b"
    found = data(HEAD + FRONTEND + WORKER, *words.split())
    assert found["model"] == {"path": "org/model", "served_name": ["a", "b"], "max_length": 4096}
    assert found["workers"] == {
        "tensor_parallel_size": 2,
        "pipeline_parallel_size": 2,
        "data_parallel_size": 2,
        "gpu_memory_fraction": 0.8,
        "block_size": 64,
        "replicas": 1,
    }
    assert left_out(HEAD + FRONTEND + WORKER, *words.split()) == []


def test_names_as_the_workers_divide_them() -> None:
    def named(*names: str) -> Any:
        workers = "".join(f"python -m dynamo.vllm --model m --served-model-name {name} &\n" for name in names)
        return FRONTEND + workers

    assert data(named("a,b 'c a'"))["model"]["served_name"] == ["a", "b", "c"]
    assert data(named("a", "b"))["model"]["served_name"] == "a"
    assert left_out(named("a", "b")) == ["3: --served-model-name b: a model has the same names at all workers"]


def test_a_sidecar() -> None:
    text = """\
PORT=${LMCACHE_PORT:-5556}
lmcache server --l1-size-gb ${L1:-16} --port $PORT --host 0.0.0.0 --l1-use-lazy --chunk-size 512 \\
  --l2-adapter '{"type": "fs", "base_path": "/cache"}' &
"""
    connector = """\
python -m dynamo.vllm --model m --disable-hybrid-kv-cache-manager --kv-transfer-config \\
  "{\\"kv_connector\\":\\"LMCacheMPConnector\\",\\"kv_connector_extra_config\\":{\\"lmcache.mp.port\\":$PORT,
    \\"lmcache.mp.heartbeat_interval\\": 2, \\"lmcache.mp.eager_prefetch\\": true}}" &
"""
    assert data(text + FRONTEND + connector)["lmcache"] == {
        "heartbeat_interval_s": 2.0,
        "l1_size_gb": 16,
        "port": 5556,
        "chunk_size": 512,
        "l2": [{"type": "fs", "base_path": "/cache"}],
        "args": ["--l1-use-lazy"],
    }
    assert left_out(text + FRONTEND + connector) == [
        "2: --host 0.0.0.0: the sidecar listens on loopback",
        "5: lmcache.mp.eager_prefetch of --kv-transfer-config: the plan writes the connector",
    ]


def test_lmcache_within_the_worker_becomes_a_sidecar() -> None:
    text = FRONTEND + "LMCACHE_MAX_LOCAL_CPU_SIZE=20 python -m dynamo.vllm --model m --connector lmcache &"
    assert data(text)["lmcache"] == {"l1_size_gb": 20}
    assert left_out(text) == [
        "2: LMCache inside the worker: dynkv runs it as a separate process, which outlives a worker"
    ]


def roles(decode: str, prefill: str) -> str:
    """A script with two decode workers and a prefill worker, with text before and after each."""
    return "".join(
        f"CUDA_VISIBLE_DEVICES={gpu} python3 -m dynamo.vllm --model m --enforce-eager {words} &\n"
        for gpu, words in ((0, decode), (1, decode), (2, prefill))
    )


def test_prefill_and_decode() -> None:
    decode = f"--disaggregation-mode decode --kv-transfer-config {NIXL} --max-num-seqs 8"
    prefill = f"--disaggregation-mode prefill --kv-transfer-config {NIXL} --kv-events-config {EVENTS}"
    expected = {
        "topology": "disagg",
        "model": {"path": "m", "args": ["--enforce-eager"], "role_args": {"decode": ["--max-num-seqs", "8"]}},
        "workers": {
            "gpu_memory_fraction": 0.92,
            "gpus": [0, 1, 2],
            "decode": {"replicas": 2},
            "prefill": {"replicas": 1},
        },
        "lmcache": {"enabled": False},
        "frontend": {"router_mode": "kv", "port": 8001},
    }
    assert data(ROUTER + roles(decode, prefill)) == expected
    older = data(ROUTER + roles("--max-num-seqs 8", f"--is-prefill-worker --kv-events-config {EVENTS}"))
    assert older == expected, "as Dynamo had it before: whoever is no prefill worker decodes"


def test_events_that_nobody_publishes() -> None:
    events = f"--kv-events-config {EVENTS}"
    decode, prefill = f"--disaggregation-mode decode {events}", f"--disaggregation-mode prefill {events}"
    assert left_out(ROUTER + roles(decode, prefill)) == [
        f"{line}: --kv-events-config: decode workers publish no KV events" for line in (2, 3)
    ]
    assert left_out(FRONTEND + f"python -m dynamo.vllm --model m {events}") == [
        "2: --kv-events-config: KV events are published only with router_mode kv"
    ]


def test_both_roles_on_one_gpu() -> None:
    text = FRONTEND + "".join(
        f"CUDA_VISIBLE_DEVICES=0 python -m dynamo.vllm --disaggregation-mode {role} --gpu-memory-utilization $(ask) &\n"
        for role in ("decode", "prefill")
    )
    assert data(text)["workers"] == {
        "gpus": [0],
        "share_gpus": True,
        "decode": {"gpu_memory_fraction": 0.45, "replicas": 1},
        "prefill": {"gpu_memory_fraction": 0.4, "replicas": 1},
    }
    assert left_out(text)[0].startswith("2: --gpu-memory-utilization $(ask): its value is known only at run time")
    fitting = text.replace("$(ask)", "0.3")
    assert data(fitting)["workers"]["gpu_memory_fraction"] == 0.3


RANKS = """\
for i in {0..3}; do
  VLLM_NIXL_SIDE_CHANNEL_PORT=$((20096 + i)) CUDA_VISIBLE_DEVICES=$i python -m dynamo.vllm --model m \\
    --data-parallel-rank $i --data-parallel-size SIZE --enable-expert-parallel &
done
"""


def test_data_parallel_ranks_are_one_worker() -> None:
    found = data(FRONTEND + RANKS.replace("SIZE", "4"))
    assert found["workers"] == {
        "data_parallel_size": 4,
        "gpu_memory_fraction": 0.92,
        "gpus": [0, 1, 2, 3],
        "replicas": 1,
    }
    assert found["model"]["args"] == ["--enable-expert-parallel"]


def test_variables_of_processes() -> None:
    text = """\
export PYTHONHASHSEED=0 DYN_LOG=debug AWS_SECRET_ACCESS_KEY=x NATS_SERVER=nats://localhost:4222
DYN_HTTP_PORT=8002 ONE=1 python -m dynamo.frontend &
NAME=a DYN_SYSTEM_PORT=8081 TWO=2 python -m dynamo.vllm --model m &
NAME=b DYN_SYSTEM_PORT=8082 TWO=2 CUDA_VISIBLE_DEVICES=1 DYN_HEALTH_CHECK_ENABLED=true python -m dynamo.vllm --model m &
"""
    found = data(text)
    assert (found["env"], found["workers"]["env"]) == ({"DYN_LOG": "debug"}, {"TWO": "2"})
    assert found["frontend"] == {"port": 8002, "env": {"ONE": "1"}}
    assert found["probes"] == {"canary": {"enabled": True}}
    assert left_out(text) == [
        "2: AWS_SECRET_ACCESS_KEY is a secret; export it before `dynkv up`, which passes it on",
        "2: NATS_SERVER is not needed on one machine; to use NATS, set discovery.nats_server",
    ]
    assert found["workers"]["each"] == {"worker-0": {"env": {"NAME": "a"}}, "worker-1": {"env": {"NAME": "b"}}}


def test_variables_that_mean_something_else_elsewhere_are_told() -> None:
    text = f"""\
export PYTHONPATH=$(dirname $0)/src PORT=$(allocate_free_port) WHOLE=/src
{FRONTEND}cd /src
PYTHONPATH=src python -m dynamo.vllm --model m &
"""
    assert data(text)["env"] == {"WHOLE": "/src"}
    assert left_out(text) == [
        "2: PORT has a value, $(allocate_free_port), that is known only at run time",
        "2: PYTHONPATH has entries that are relative to the script; write full paths",
    ]


def test_variables_of_roles() -> None:
    text = "export NAME=frontend\n" + FRONTEND + "export NAME=decode BOTH=1\nlmcache server &\n"
    worker = "python -m dynamo.vllm --model m --gpu-memory-utilization 0.4 --disaggregation-mode"
    text += f"{worker} decode &\nexport NAME=prefill\n{worker} prefill &\n"
    found = data(text)
    assert (found["frontend"]["env"], found["lmcache"]["env"]) == (
        {"NAME": "frontend"},
        {"NAME": "decode", "BOTH": "1"},
    )
    workers = found["workers"]
    assert (workers["env"], workers["decode"]["env"]) == ({"BOTH": "1"}, {"NAME": "decode"})
    assert workers["prefill"]["env"] == {"NAME": "prefill"}
    assert left_out(text) == []


@pytest.mark.parametrize(
    ("words", "task"),
    [
        ("--embedding-worker --runner pooling", "embed"),
        ("--classify-worker --runner pooling", "classify"),
        ("--realtime", "realtime"),
    ],
)
def test_tasks(words: str, task: str) -> None:
    found = data(FRONTEND + f"python -m dynamo.vllm --model m {words} --seed 1 &\n")
    assert found["model"] == {"path": "m", "task": task, "args": ["--seed", "1"]}


def test_requests_through_nats() -> None:
    text = "export DYN_REQUEST_PLANE=nats NATS_SERVER=nats://hub:4222\n" + FRONTEND + WORKER
    assert data(text, MODEL="m")["discovery"] == {"nats_server": "nats://hub:4222"}


def test_other_parts_of_dynamo_become_units() -> None:
    text = ROUTER + "python3 -m dynamo.frontend --http-port 8003 &\n"
    text += "CUDA_VISIBLE_DEVICES=1 X=y python3 -m dynamo.vllm --model m --disaggregation-mode encode &\n"
    text += "CUDA_VISIBLE_DEVICES=2 python3 -m dynamo.vllm --model m --route-to-encoder &\n"
    found = data(text)
    assert (found["workers"]["gpus"], found["model"]["args"]) == ([2], ["--route-to-encoder"])
    encode, frontend = found["units"]
    assert (encode["name"], encode["env"]) == (
        "encode-1",
        {"CUDA_VISIBLE_DEVICES": "1", "X": "y", "DYN_SYSTEM_PORT": "9081"},
    )
    assert (frontend["name"], frontend["ports"]) == ("frontend-2", {"http": 8003})
    assert len(left_out(text)) == 2


def test_roles_as_dynamo_was_told_them_before() -> None:
    text = FRONTEND + "".join(
        f"python -m dynamo.vllm --model m {words} &\n"
        for words in ("--multimodal-processor", "--multimodal-encode-worker", "--multimodal-worker --seed 1")
    )
    found = data(text)
    assert found["topology"] == "agg"
    assert found["model"]["args"] == ["--seed", "1", "--enable-multimodal", "--route-to-encoder"]
    (encode,) = found["units"]
    assert encode["argv"][3:] == ["--model", "m", "--disaggregation-mode", "encode", "--enable-multimodal"]
    told = left_out(text)
    assert sum("an option from before Dynamo 1.6" in line for line in told) == 2
    assert told[0].startswith("2: `python -m dynamo.vllm --model m --multimodal-processor`: since 1.6")
    assert "4: --route-to-encoder was added: before 1.6 a processor did that" in told


def test_prefill_and_decode_as_dynamo_was_told_them_before() -> None:
    pair = "--multimodal-worker --disaggregation-mode prefill", "--multimodal-decode-worker"
    found = data(FRONTEND + "".join(f"python -m dynamo.vllm --model m {words} &\n" for words in pair))
    assert (found["workers"]["decode"]["replicas"], found["workers"]["prefill"]["replicas"]) == (1, 1)
    assert found["model"]["args"] == ["--enable-multimodal"], "without an encoder nothing is asked of one"


def test_an_engine_alone_becomes_a_unit() -> None:
    assert data("CUDA_VISIBLE_DEVICES=2 vllm serve m --port 8005\n") == {
        "topology": "none",
        "units": [
            {
                "name": "vllm",
                "argv": ["vllm", "serve", "m", "--port", "8005"],
                "env": {"CUDA_VISIBLE_DEVICES": "2"},
                "ports": {"http": 8005},
                "probes": {"http_get": {"port": "http", "path": "/health"}, "startup_seconds": 900.0},
            }
        ],
    }


def test_nothing_is_left_out_in_silence() -> None:
    text = """\
mkdir -p /tmp/x
nats-server --jetstream &
python -m dynamo.frontend --router-reset-states --router-ttl-secs $(ask) &
numactl -N 0 python -m dynamo.vllm --model m --no-such-option 3 --max-num-seqs $(ask) --enforce-eager &
my-exporter --port 9 &
"""
    assert left_out(text) == [
        "1: dynkv does not run `mkdir -p /tmp/x`",
        "2: `nats-server --jetstream`: dynkv needs no nats-server",
        "3: --router-reset-states: the frontend of ai-dynamo 1.6.1 has no such option",
        "3: --router-ttl-secs $(ask): its value is known only at run time",
        "4: --no-such-option 3: vllm 0.31.0 and ai-dynamo 1.6.1 have no such option",
        "4: --max-num-seqs $(ask): its value is known only at run time",
        "4: numactl -N 0, in front of the worker",
        "5: dynkv does not run `my-exporter --port 9`",
    ]


def test_what_no_profile_may_give_is_told() -> None:
    """Otherwise the resulting profile would be invalid."""
    text = """\
lmcache server --l1-manager '{}' --no-such &
python -m dynamo.frontend --tls-cert-path x &
python -m dynamo.vllm --model m --enable-elastic-ep --request-plane tcp &
"""
    assert [line.partition(":")[0] + line.partition(": ")[2][:15] for line in left_out(text)] == [
        "1--l1-manager {}",
        "1--no-such: lmca",
        "2--tls-cert-path",
        "3--enable-elasti",
    ]


def test_what_is_no_number_is_told() -> None:
    text = "exec >log 2>&1\nlmcache server --port x &\npython -m dynamo.frontend --http-port &\n"
    assert left_out(text + "python -m dynamo.vllm --model m --max-model-len 16k &\n") == [
        "2: --port x: set lmcache.port to the number you want",
        "3: --http-port: set frontend.port to the number you want",
        "4: --max-model-len 16k: set model.max_length to the number you want",
    ]


def test_gpus_that_only_a_run_would_tell() -> None:
    text = FRONTEND + "N=$(nvidia-smi -L | wc -l)\nCUDA_VISIBLE_DEVICES=$N python -m dynamo.vllm --model m &\n"
    text += "for ((i = 0; i < N; i++)); do ask $i; done\n"
    assert "gpus" not in data(text)["workers"]
    assert left_out(text) == [
        "3: CUDA_VISIBLE_DEVICES=$(nvidia-smi -L | wc -l): list the GPUs under workers.gpus",
        "4: whether `((i < N))` holds is known only at run time; it was taken as false",
    ]


AFTERWARDS = 'curl x/v1/models | jq .\n{\n  "choices": {\n    "n": null\n  }\n}\n'
"""Instructions after the last command, which runs until somebody ends it."""


def test_what_stands_behind_a_server_in_the_foreground_does_not_count() -> None:
    text = FRONTEND + "python -m dynamo.vllm --model m\n" + AFTERWARDS
    assert data(text)["model"] == {"path": "m"}
    assert left_out(text) == ["3: everything from here on runs only after the server above has exited"]


def test_what_cannot_be_read_counts_where_it_is_reached() -> None:
    with pytest.raises(ScriptError, match="} is not expected here") as raised:
        convert(FRONTEND + "python -m dynamo.vllm --model m &\n" + AFTERWARDS)
    assert raised.value.line == 8


def test_settings_of_nixl_are_told_and_nixl_alone_too() -> None:
    extra = """'{"kv_connector": "NixlConnector", "kv_connector_extra_config": {"x": 1},
        "kv_load_failure_policy": "x"}'"""
    told = ["1: x of", "1: kv_load_failure_policy of", "1: NixlConnector: no other worker"]
    remarks = left_out(f"python -m dynamo.vllm --model m --kv-transfer-config {extra} &\n" + FRONTEND)
    assert [remark.startswith(words) for remark, words in zip(remarks, told, strict=True)] == [True] * 3


def test_a_side_channel_of_a_unit_is_its_own() -> None:
    encoder = "python -m dynamo.vllm --model m --disaggregation-mode encode &\n"
    text = FRONTEND + WORKER + 2 * f"VLLM_NIXL_SIDE_CHANNEL_PORT=20097 {encoder}" + encoder
    units = data(text, MODEL="m")["units"]
    assert [unit["env"].get("VLLM_NIXL_SIDE_CHANNEL_PORT") for unit in units] == ["20197", "20198", None]
    assert [unit["ports"].get("nixl") for unit in units] == [20197, 20198, None]


def test_no_secret_of_a_script_is_shown() -> None:
    key = "s3cr3tv4lu3"
    text = f"export MY_TOKEN={key}\nsetup --api-key {key}\n" + FRONTEND
    found = convert(text + f"python -m dynamo.vllm --model m --no-such-api-key {key} &\nask --password={key} &\n")
    assert key not in found.text("launch.sh")
    assert len(found.left_out) == 4


def test_what_single_workers_have_is_theirs() -> None:
    text = FRONTEND + "".join(
        f"ONE={n} CUDA_VISIBLE_DEVICES={n} python -m dynamo.vllm --model m --max-model-len {n}00 --seed {n} {more} &\n"
        for n, more in ((1, ""), (2, "--enforce-eager"))
    )
    found = data(text)
    assert found["model"] == {"path": "m", "max_length": 100}
    assert found["workers"]["each"] == {
        "worker-0": {"args": ["--seed", "1"], "env": {"ONE": "1"}},
        "worker-1": {"args": ["--seed", "2", "--enforce-eager"], "env": {"ONE": "2"}},
    }
    assert left_out(text) == ["3: --max-model-len 200: model.max_length is the same for all workers"]


def test_what_single_workers_of_a_role_have_is_theirs() -> None:
    prefill = "--disaggregation-mode prefill --max-num-seqs 4"
    text = ROUTER + roles("--disaggregation-mode decode", prefill).replace("eager --d", "eager --seed 1 --d", 1)
    found = data(text.replace("CUDA_VISIBLE_DEVICES=1", "CUDA_VISIBLE_DEVICES=1 ONE=x"))
    assert found["model"] == {"path": "m", "args": ["--enforce-eager"], "role_args": {"prefill": prefill.split()[2:]}}
    assert found["workers"]["each"] == {"decode-0": {"args": ["--seed", "1"]}, "decode-1": {"env": {"ONE": "x"}}}


def test_what_prefill_and_decode_must_agree_on_is_told_where_they_do_not() -> None:
    """With it no profile would be valid."""
    text = ROUTER + roles("--disaggregation-mode decode", "--disaggregation-mode prefill --dtype half")
    assert data(text)["model"] == {"path": "m", "args": ["--enforce-eager"]}
    assert left_out(text) == ["4: --dtype half: prefill and decode must agree on it"]


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("echo hello\n", None, "no part of Dynamo"),
        (FRONTEND, None, "a frontend but no worker"),
        ("python -m dynamo.sglang --model m\n", 1, "dynamo.sglang is not a worker"),
        ("python -m dynamo.vllm.omni --model m\n", 1, "dynamo.vllm.omni is not a worker"),
        (FRONTEND + WORKER + "python -m dynamo.vllm --model other\n", None, "serves one model"),
        ("python -m dynamo.vllm --model m --nnodes 2\n", 1, "--nnodes 2 spreads a worker over machines"),
        ("python -m dynamo.vllm --model m --connector kvbm\n", 1, "kvbm keeps the KV blocks"),
        (
            """python -m dynamo.vllm --kv-transfer-config '{"kv_connector": "PdConnector", "kv_connector_extra_config":
            {"connectors": [{"kv_connector": "FlexKVConnectorV1"}, {"kv_connector": "NixlConnector"}]}}'""",
            1,
            "FlexKVConnectorV1 keeps the KV blocks",
        ),
        (RANKS.replace("SIZE", "8"), 2, "4 of the 8 data parallel ranks"),
        ("export ZE_AFFINITY_MASK=0\npython -m dynamo.vllm --model m\n", 2, "Intel's GPUs"),
        ("VLLM_TARGET_DEVICE=xpu python -m dynamo.vllm --model m\n", 1, "Intel's GPUs"),
        ("python -m dynamo.vllm --model m --disaggregation-mode encode\n", 1, "no worker that serves requests"),
        ("python -m dynamo.vllm --is-prefill-worker\n" + FRONTEND, 1, "no decode worker"),
        ("vllm-rs serve m &\ndynamo-vllm-sidecar --grpc-endpoint x:1 &\n", 2, "this worker is two programs"),
        (FRONTEND + "vllm serve m &\n", 1, "this worker is two programs"),
        ('[ -z "$1" ] && { echo "needs --head"; exit 1; }\npython -m dynamo.vllm\n', 1, "needs --head"),
        ('python -m dynamo.vllm "\n', 1, "never closed"),
    ],
)
def test_what_no_profile_can_do(text: str, line: int | None, words: str) -> None:
    with pytest.raises(ScriptError) as raised:
        convert(text)
    assert words in raised.value.what
    assert line is None or raised.value.line == line


def test_the_text_is_the_draft_with_its_reasons(tmp_path: Path) -> None:
    text = HEAD + 'export DYN_LOG=info,a=b X=yes E= Q="it\'s"\n' + ROUTER + WORKER
    json = '{"method": "eagle3",\n "n": 2}'
    found = convert(text, "--speculative-config", json, "--seed", "1", "--hf-overrides", "{}" + " " * 90 + "#")
    file = tmp_path / "made.yaml"
    file.write_text(found.text("launch.sh"))
    source = load(str(file)).source
    assert source.data == found.draft.data()
    assert "  router_mode: kv  # line 13: --router-mode\n" in file.read_text()
    assert all(len(line) <= 120 for line in file.read_text().splitlines() if line.startswith("#"))


@pytest.mark.parametrize(
    "text",
    [
        HEAD + FRONTEND + WORKER,
        ROUTER + roles("--disaggregation-mode decode", "--disaggregation-mode prefill"),
        FRONTEND + RANKS.replace("SIZE", "4"),
        FRONTEND + "for i in 1 2; do CUDA_VISIBLE_DEVICES=$i python -m dynamo.vllm --model m -tp 1 & done\n",
        FRONTEND + "for i in 1 2; do ONE=$i CUDA_VISIBLE_DEVICES=$i python -m dynamo.vllm --model m --seed $i & done\n",
        FRONTEND + "python -m dynamo.vllm --served-model-name a,b &\n",
        ROUTER + roles("--disaggregation-mode decode", "--disaggregation-mode prefill --dtype half"),
        FRONTEND + "for i in 1 2; do python -m dynamo.vllm --model m --gpu-memory-utilization 0.3 & done\n",
        ROUTER + "python -m dynamo.vllm --model m &\npython -m dynamo.vllm --disaggregation-mode encode &\n",
        "vllm serve m\n",
        "VLLM_TARGET_DEVICE=cpu python -m dynamo.vllm --model m\n",
        "python -m dynamo.mocker --model-path m --speedup-ratio 10\n",
    ],
)
def test_what_comes_of_it_can_be_planned(text: str, tmp_path: Path) -> None:
    found = convert(text)
    file = tmp_path / "made.yaml"
    file.write_text(found.text("launch.sh"))
    build(load(str(file)).profile, host(8), name="made", profile_name="made", home="/state")
