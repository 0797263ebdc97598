"""One table of the launch scripts of Dynamo's vLLM backend: the profile that does the same, or why there is none.

Read by the tests, which plan every profile, and by the documentation. Names and contents: ai-dynamo/dynamo,
examples/backends/vllm/launch, in its versions up to September 2026; the names of scripts that were removed are kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Script:
    """A script with `profile`, the name of a shipped one, and `settings` by dotted key; or with the reason why there is
    none."""

    name: str
    profile: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""
    """What differs from the script, or is added."""
    reason: str = ""


ONE = {"workers.replicas": 1}
TWO = {"workers.replicas": 2, "workers.gpus": [0, 1]}
ALONE = {"lmcache.enabled": False}
"""No sidecar."""
EAGER = "--enforce-eager"
BLOCKS = {"workers.block_size": 64}
PAIR = {"workers.gpus": [0, 1], "workers.decode.replicas": 1, "workers.prefill.replicas": 1}
VISION = {"model.path": "Qwen/Qwen3-VL-2B-Instruct"}
LORA = {
    "model.args": [EAGER, "--max-lora-rank", "64"],
    "model.loras": [{"name": "my-adapter", "path": "s3://my-loras/my-adapter"}],
    "workers.env": {
        "DYN_LORA_PATH": "/tmp/loras",
        "AWS_ENDPOINT": "http://localhost:9000",
        "AWS_REGION": "us-east-1",
        "AWS_ALLOW_HTTP": "true",
    },
}
EMBEDDING = {
    "model.path": "Qwen/Qwen3-Embedding-0.6B",
    "model.task": "embed",
    "model.max_length": 2048,
    "model.args": [
        "--dtype",
        "float32",
        "--pooler-config",
        '{"pooling_type": "MEAN", "use_activation": false}',
        "--no-enable-prefix-caching",
        "--trust-remote-code",
    ],
}
TRACING = {
    "model.args": [EAGER, "--otlp-traces-endpoint=http://localhost:4317"],
    "env": {
        "DYN_LOGGING_JSONL": "true",
        "OTEL_EXPORT_ENABLED": "true",
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://localhost:4317",
    },
    "frontend.env": {"OTEL_SERVICE_NAME": "dynamo-frontend"},
}
LORAS = "the script loads none by itself; AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY come from the environment"


def encode(gpu: int, model: str, *more: str, number: int | None = None, **env: str) -> dict[str, Any]:
    """A worker that encodes images, as a unit: dynkv has no role for it."""
    words = ["-m", "dynamo.vllm", "--model", model, "--disaggregation-mode", "encode", "--enable-multimodal", *more]
    number = gpu if number is None else number
    system, nixl = 9081 + number, 20197 + number
    ports = {"DYN_SYSTEM_PORT": str(system), "VLLM_NIXL_SIDE_CHANNEL_PORT": str(nixl)}
    return {
        "name": f"encode-{number}",
        "argv": ["python3", *words],
        "env": {"CUDA_VISIBLE_DEVICES": str(gpu), **ports, **env},
        "ports": {"system": system, "nixl": nixl},
        "probes": {"http_get": {"port": "system", "path": "/health"}, "startup_seconds": 900},
    }


def epd(model: str) -> dict[str, Any]:
    """Encode on GPU 0, prefill on 1, decode on 2."""
    return {
        **ALONE,
        "model.path": model,
        "model.args": ["--enable-multimodal", "--enable-mm-embeds"],
        "model.role_args.prefill": ["--route-to-encoder"],
        "workers.gpus": [2, 1],
        "workers.gpu_memory_fraction": 0.9,
        "units": [encode(0, model)],
    }


def behind_an_encoder(model: str, encoder: str, *args: str) -> dict[str, Any]:
    """Encode on GPU 2, and a worker for the rest on GPU 1."""
    return {
        **ALONE,
        "model.path": model,
        "model.args": ["--route-to-encoder", "--enable-multimodal", *args],
        "workers.gpus": [1],
        "units": [encode(2, encoder)],
    }


LOCAL = ("--embedding-transfer-mode", "local")
"""How the encoder passes embeddings on."""
UNIT = "the encoder is a unit: dynkv does not plan its GPU, and the stack's interpreter has to be the first on PATH"
PROFILES = [
    # --- one worker ---
    Script(
        "agg.sh",
        "agg",
        {**ALONE, **ONE, "model.max_length": 4096, "model.args": [EAGER, "--max-num-seqs", "2"]},
    ),
    Script(
        "agg_lmcache_mp.sh",
        "agg",
        {
            **ONE,
            "lmcache.l1_size_gb": 16,
            "model.max_length": 4096,
            "model.args": [EAGER, "--max-num-seqs", "2"],
        },
        "the script also limits the KV cache to what its test needs: `--kv-cache-memory-bytes`",
    ),
    Script("agg_lmcache.sh", "agg", ONE, "LMCache is a process of its own, and not part of the worker"),
    Script(
        "agg_lmcache_multiproc.sh",
        "agg",
        ONE,
        "LMCache is a separate process; PROMETHEUS_MULTIPROC_DIR, which corrupts metrics, never reaches a worker",
    ),
    Script(
        "agg_request_planes.sh",
        "agg",
        {**ALONE, **ONE, "model.args": [EAGER], "probes.canary.enabled": True},
        "the script's `--nats` is `discovery.nats_server`",
    ),
    Script(
        "agg-request_planes.sh",
        "agg",
        {**ALONE, **ONE, "model.args": [EAGER], "probes.canary.enabled": True},
        "an older name of agg_request_planes.sh",
    ),
    Script(
        "agg_tracing.sh",
        "agg",
        {**ALONE, **ONE, **TRACING, "workers.env": {"OTEL_SERVICE_NAME": "dynamo-worker-vllm"}},
    ),
    Script(
        "agg_spec_decoding.sh",
        "agg",
        {
            **ALONE,
            "workers.gpus": [0],
            "workers.gpu_memory_fraction": 0.8,
            "model.path": "meta-llama/Meta-Llama-3.1-8B-Instruct",
            "model.args": [
                EAGER,
                "--speculative-config",
                '{"model": "yuhuili/EAGLE3-LLaMA3.1-Instruct-8B", "draft_tensor_parallel_size": 1, '
                '"num_speculative_tokens": 2, "method": "eagle3"}',
            ],
        },
    ),
    Script(
        "agg_toolcalling.sh",
        "agg",
        {
            **ALONE,
            **ONE,
            "model.path": "Qwen/Qwen3-VL-30B-A3B-Instruct-FP8",
            "model.max_length": 10000,
            "model.args": ["--dyn-tool-call-parser", "hermes", "--enable-multimodal", EAGER],
        },
    ),
    Script(
        "agg_multimodal.sh",
        "agg",
        {
            **ALONE,
            **ONE,
            "model.path": "Qwen/Qwen2.5-VL-7B-Instruct",
            "model.max_length": 4096,
            "model.args": ["--enable-multimodal", EAGER],
        },
    ),
    Script(
        "agg_asr.sh",
        "agg",
        {
            **ALONE,
            "workers.gpus": [0],
            "model.path": "Qwen/Qwen3-ASR-1.7B",
            "model.args": ["--enable-multimodal"],
            "frontend.args": ["--dyn-chat-processor", "vllm"],
        },
    ),
    Script(
        "video_agg.sh",
        "agg",
        {
            **ALONE,
            **VISION,
            "workers.gpus": [0],
            "model.max_length": 8192,
            "model.args": ["--enable-multimodal", "--max-num-seqs", "2"],
        },
    ),
    Script(
        "agg_multimodal_llama.sh",
        "agg",
        {
            **ALONE,
            "model.path": "meta-llama/Llama-4-Maverick-17B-128E-Instruct-FP8",
            "model.max_length": 208960,
            "model.args": ["--enable-multimodal"],
            "workers.tensor_parallel_size": 8,
            "workers.gpu_memory_fraction": 0.8,
        },
        "its processor and its kind of worker are from Dynamo before 1.6; frontend and worker now do both",
    ),
    # --- several workers ---
    Script(
        "agg_router.sh",
        "agg-router",
        {**ALONE, **TWO, **BLOCKS, "model.args": [EAGER]},
        "`--router-reset-states` is gone from ai-dynamo 1.6.1",
    ),
    Script(
        "agg_router_approx.sh",
        "agg-router",
        {**ALONE, **TWO, **BLOCKS, "frontend.args": ["--no-router-kv-events"]},
    ),
    Script(
        "agg_router_replicas.sh",
        "agg-router",
        {
            **ALONE,
            **TWO,
            **BLOCKS,
            "model.args": [EAGER],
            "units": [
                {
                    "name": "frontend-2",
                    "argv": ["python3", "-m", "dynamo.frontend", "--router-mode", "kv", "--http-port", "8001"],
                    "ports": {"http": 8001},
                    "probes": {"http_get": {"port": "http", "path": "/health"}},
                }
            ],
        },
        "the second frontend is a unit; add `--router-replica-sync` to both, so that they agree",
    ),
    Script(
        "agg_multimodal_router.sh",
        "agg-router",
        {
            **ALONE,
            **TWO,
            **VISION,
            "workers.block_size": 16,
            "model.max_length": 4096,
            "model.args": ["--enable-multimodal", EAGER],
            "frontend.args": ["--kv-cache-block-size", "16"],
            "env": {"DYN_MM_ALLOW_INTERNAL": "1"},
        },
    ),
    Script(
        "agg_multimodal_router_chat_processor.sh",
        "agg-router",
        {
            **ALONE,
            **TWO,
            **VISION,
            "workers.block_size": 16,
            "model.max_length": 4096,
            "model.args": ["--enable-multimodal", EAGER],
            "frontend.args": ["--kv-cache-block-size", "16", "--dyn-chat-processor", "vllm"],
            "env": {"DYN_MM_IMAGE_CACHE_SIZE": "32", "DYNAMO_MM_TRANSFER": "shm"},
        },
    ),
    Script(
        "agg_multimodal_approx.sh",
        "agg-router",
        {
            **ALONE,
            **VISION,
            "workers.gpus": [0],
            "workers.share_gpus": True,
            "workers.replicas": 2,
            "workers.gpu_memory_fraction": 0.35,
            "workers.block_size": 16,
            "model.max_length": 4096,
            "model.args": ["--enable-multimodal", EAGER],
            "frontend.args": ["--kv-cache-block-size", "16", "--no-router-kv-events"],
        },
        "two workers on one GPU",
    ),
    Script(
        "dep.sh",
        "agg-router",
        {
            **ALONE,
            "workers.replicas": 1,
            "workers.gpus": [0, 1, 2, 3],
            "workers.data_parallel_size": 4,
            "model.path": "Qwen/Qwen3-30B-A3B",
            "model.args": ["--enable-expert-parallel", EAGER],
        },
        "the four ranks are one worker instead of separate processes",
    ),
    Script(
        "dsr1_dep.sh",
        "agg-router",
        {
            **ALONE,
            "workers.replicas": 1,
            "workers.data_parallel_size": 8,
            "workers.gpu_memory_fraction": 0.9,
            "model.path": "deepseek-ai/DeepSeek-R1",
            "model.max_length": 4096,
            "model.args": ["--enable-expert-parallel", EAGER],
            "env": {
                "VLLM_ALL2ALL_BACKEND": "deepep_low_latency",
                "VLLM_USE_DEEP_GEMM": "1",
                "VLLM_RANDOMIZE_DP_DUMMY_INPUTS": "1",
            },
        },
        "with `--num-nodes 1`: a deployment is on one machine",
    ),
    # --- prefill and decode ---
    Script("disagg.sh", "disagg", {**ALONE, **PAIR, "model.args": [EAGER]}),
    Script(
        "disagg_tracing.sh",
        "disagg",
        {
            **ALONE,
            **PAIR,
            **TRACING,
            "workers.decode.env": {"OTEL_SERVICE_NAME": "dynamo-worker-decode"},
            "workers.prefill.env": {"OTEL_SERVICE_NAME": "dynamo-worker-prefill"},
        },
    ),
    Script(
        "disagg_router.sh",
        "disagg",
        {
            **ALONE,
            **BLOCKS,
            "workers.gpus": [0, 1, 2, 3],
            "workers.decode.replicas": 2,
            "workers.prefill.replicas": 2,
            "frontend.router_mode": "kv",
            "model.args": [EAGER],
        },
    ),
    Script(
        "disagg_same_gpu.sh",
        "disagg-1gpu",
        {**ALONE, "model.max_length": 16384, "model.args": [EAGER]},
        "shares of the GPU in place of 4 GB for each worker",
    ),
    Script(
        "disagg_lmcache.sh",
        "disagg",
        {**PAIR, "frontend.router_mode": "kv"},
        "LMCache is a separate process next to prefill",
    ),
    Script(
        "disagg_multimodal_p_d.sh",
        "disagg",
        {
            **ALONE,
            **VISION,
            **PAIR,
            "workers.gpus": [1, 0],
            "workers.gpu_memory_fraction": 0.9,
            "model.args": ["--enable-multimodal"],
            "model.role_args.decode": ["--enable-mm-embeds"],
        },
        "not its `--kv-push`: NixlPushConnector is not planned",
    ),
    Script(
        "conditional_prefill_v1_smoke_test.sh",
        "disagg",
        {
            **ALONE,
            **PAIR,
            **BLOCKS,
            "model.args": [EAGER],
            "frontend.router_mode": "kv",
            "frontend.args": [
                "--router-conditional-disagg",
                "--router-conditional-disagg-config",
                '{"policy":"isl_bounding","eff_isl_threshold":2048,"eff_isl_ratio_threshold":0.7}',
                "--enforce-disagg",
            ],
        },
        "decode workers publish no KV events, from which this policy learns what decode has",
    ),
    # --- with an encoder ---
    Script("disagg_multimodal_epd.sh", "disagg", epd("llava-hf/llava-1.5-7b-hf"), UNIT),
    Script(
        "disagg_multimodal.sh",
        "disagg",
        {**epd("llava-hf/llava-1.5-7b-hf"), "env": {"UCX_TLS": "sm,self,tcp"}},
        f"{UNIT}; an older form of disagg_multimodal_epd.sh",
    ),
    Script(
        "cpu_encoder.sh",
        "disagg",
        {
            **epd("llava-hf/llava-1.5-7b-hf"),
            "units": [encode(0, "llava-hf/llava-1.5-7b-hf", DYN_ENCODER_DEVICE="cpu", VLLM_ENCODER="0")],
        },
        UNIT,
    ),
    Script(
        "dual_encoder_epd.sh",
        "disagg",
        {
            **epd("llava-hf/llava-1.5-7b-hf"),
            "units": [
                encode(0, "llava-hf/llava-1.5-7b-hf", DYN_ENCODER_DEVICE="cpu", VLLM_ENCODER="0"),
                encode(0, "llava-hf/llava-1.5-7b-hf", number=1),
            ],
            "workers.prefill.env": {"DYN_ENCODER_SCHEDULER": "per_request", "DYN_ENCODER_SPLIT_RATIO": "1:1"},
        },
        f"{UNIT}; one encodes on the CPU",
    ),
    Script(
        "disagg_multimodal_e_pd.sh",
        "agg",
        behind_an_encoder(
            "Qwen/Qwen3-VL-30B-A3B-Instruct-FP8", "Qwen/Qwen3-VL-30B-A3B-Instruct-FP8", "--enable-mm-embeds"
        ),
        UNIT,
    ),
    Script(
        "agg_multimodal_epd.sh",
        "agg",
        behind_an_encoder("llava-hf/llava-1.5-7b-hf", "llava-hf/llava-1.5-7b-hf", "--enable-mm-embeds"),
        UNIT,
    ),
    Script(
        "enc_textonly_pd.sh",
        "agg",
        {
            **behind_an_encoder("Qwen/Qwen3-0.6B", "", "--enable-prompt-embeds", *LOCAL),
            "workers.gpu_memory_fraction": 0.7,
            "units": [
                encode(2, "Qwen/Qwen2.5-VL-3B-Instruct", "--served-model-name", "Qwen/Qwen3-0.6B", *LOCAL),
            ],
            "env": {
                "DYN_EXTERNAL_PROMPT_EMBEDS": "1",
                "DYN_HTTP_BODY_LIMIT_MB": "200",
                "DYN_TCP_MAX_MESSAGE_SIZE": "209715200",
            },
        },
        f"{UNIT}; its chat template has to be written to a file first, for `--custom-jinja-template`",
    ),
    # --- adapters ---
    Script("lora/agg_lora.sh", "agg", {**ALONE, **ONE, **LORA}, LORAS),
    Script(
        "lora/agg_lora_s3.sh",
        "agg",
        {**ALONE, **ONE, **LORA, "model.args": [EAGER, "--max-lora-rank", "32"]},
        LORAS,
    ),
    Script("lora/agg_lora_router.sh", "agg-router", {**ALONE, **TWO, **BLOCKS, **LORA}, LORAS),
    Script(
        "lora/multimodal/lora_agg.sh",
        "agg",
        {
            **ALONE,
            **VISION,
            "workers.gpus": [0],
            "workers.env": {"DYN_LORA_PATH": "/tmp/loras"},
            "model.max_length": 8192,
            "model.args": ["--enable-multimodal", "--max-lora-rank", "64", "--max-num-batched-tokens", "8192"],
            "model.loras": [{"name": "my-adapter", "path": "/loras/my-adapter"}],
        },
        "the script loads none by itself",
    ),
    # --- other tasks ---
    Script(
        "agg_embed.sh",
        "agg",
        {
            **ALONE,
            **ONE,
            **EMBEDDING,
        },
    ),
    Script(
        "agg_embed_multiworker.sh",
        "agg",
        {
            **ALONE,
            **TWO,
            **EMBEDDING,
            "workers.each": {
                f"worker-{number}": {"args": ["--endpoint", f"embed-worker-{number + 1}.vllm.generate"]}
                for number in range(2)
            },
        },
        "with the same model twice; two models need two deployments",
    ),
    Script(
        "agg_classify.sh",
        "agg",
        {
            **ALONE,
            **ONE,
            "model.path": "cross-encoder/nli-MiniLM2-L6-H768",
            "model.task": "classify",
            "model.args": ["--trust-remote-code"],
        },
    ),
    Script(
        "agg_realtime_transcription.sh",
        "agg",
        {
            **ALONE,
            **ONE,
            "model.path": "mistralai/Voxtral-Mini-4B-Realtime-2602",
            "model.task": "realtime",
            "model.args": [EAGER, "--hf-overrides", '{"architectures": ["VoxtralRealtimeGeneration"]}'],
        },
    ),
]


def refused(reason: str, names: str) -> list[Script]:
    return [Script(name, reason=reason) for name in names.split()]


NO_PROFILE = [
    *refused(
        "KV blocks are kept by KVBM or FlexKV; dynkv supports LMCache and NIXL",
        "agg_kvbm.sh agg_kvbm_router.sh agg_flexkv.sh disagg_flexkv.sh disagg_kvbm.sh disagg_kvbm_2p2d.sh "
        "disagg_kvbm_router.sh kvbm_xdc/common.sh kvbm_xdc/hardware-profiles.sh kvbm_xdc/health-chat-stream.sh "
        "kvbm_xdc/launch-dynamo-frontend.sh kvbm_xdc/launch-kvbm-hub.sh kvbm_xdc/launch-kvbm-prefill-shim.sh "
        "kvbm_xdc/launch-kvbm-vllm.sh kvbm_xdc/run-aiperf-locked.sh kvbm_xdc/run-dynamo-kvbm-chat-smoke.sh",
    ),
    *refused(
        "runs `dynamo.vllm.omni`, another program with other endpoints",
        "agg_omni.sh agg_omni_audex.sh agg_omni_audio.sh agg_omni_cosmos3.sh agg_omni_cosmos3_i2v.sh "
        "agg_omni_cosmos3_image.sh agg_omni_cosmos3_video.sh agg_omni_image.sh agg_omni_minimax_h3.sh "
        "agg_omni_qwen3.sh agg_omni_video.sh disagg_omni_glm_image.sh disagg_omni_glm_image_nixl.sh "
        "disagg_omni_qwen25.sh disagg_omni_qwen3.sh lora/omni/omni_lora_agg.sh lora/omni/validate_omni_lora_agg.sh",
    ),
    *refused("embeds with adapters: workers that embed load none in ai-dynamo 1.6.1", "lora/agg_embed_lora.sh"),
    *refused("`--transcription-worker` is newer than ai-dynamo 1.6.1", "agg_transcription.sh"),
    *refused(
        "a worker of two programs, an engine and `dynamo-vllm-sidecar`: a worker of dynkv is one program",
        "sidecar_agg.sh sidecar_agg_kvbm.sh sidecar_agg_kvbm_router.sh sidecar_agg_multimodal.sh sidecar_disagg.sh "
        "sidecar_disagg_kvbm.sh sidecar_disagg_multimodal_p_d.sh lora/sidecar_agg_lora.sh",
    ),
    *refused(
        "a worker, or a deployment, over several machines: a deployment is on one machine",
        "multi_node_tp.sh disagg_multi_cluster_infra.sh disagg_multimodal_llama.sh",
    ),
    *refused(
        "its ways to pass on embeddings (`--ec-connector-backend`, `--ec-consumer-mode`) are from Dynamo before 1.6",
        "agg_multimodal_ec_connector.sh agg_multimodal_ec_connector_audio.sh agg_multimodal_ec_connector_video.sh "
        "disagg_multimodal_ec_connector_audio.sh disagg_multimodal_ec_connector_video.sh",
    ),
    *refused(
        "its workers (`--multimodal-audio-encode-worker` and the like) are from Dynamo before 1.6",
        "audio_agg.sh audio_disagg.sh video_disagg.sh",
    ),
    *refused("`--full-prompt-encoder-class` is not in ai-dynamo 1.6.1", "enc_full_prompt_pd.sh"),
    *refused("only prints that it is deprecated, and names dep.sh", "elastic_ep.sh"),
    *refused(
        "an engine without Dynamo: `topology: none` runs it as a unit",
        "agg_vllm_serve.sh demo_vllm_embedding_cache.sh",
    ),
    *refused(
        "starts no deployment: it measures, checks, or prepares one",
        "bench_mm_transfer.sh check_ucx_transport.sh conditional_prefill_v1_container_smoke_test.sh "
        "lora/setup_minio.sh",
    ),
    *refused("the decode half of a deployment that prefills on Intel's GPUs", "xpu/disagg_hetero_cpu_decode.sh"),
    *refused("runs on Gaudi: a profile's device is cuda or cpu", "disagg_router_gaudi.sh"),
    *refused("runs on TPUs: a profile's device is cuda or cpu", "tpu/agg_tpu.sh"),
    *refused(
        "runs on Intel's GPUs: a profile's device is cuda or cpu",
        "agg_lmcache_multiproc_xpu.sh agg_lmcache_xpu.sh agg_multimodal_xpu.sh agg_request_planes_xpu.sh "
        "agg_router_approx_xpu.sh agg_router_xpu.sh disagg_lmcache_xpu.sh disagg_router_xpu_gdr.sh "
        "lora/agg_lora_router_xpu.sh lora/agg_lora_xpu.sh lora/xpu/agg_lora_xpu.sh "
        "lora/xpu/multimodal/lora_agg_xpu.sh lora/xpu/multimodal/validate_lora_agg.sh "
        "xpu/agg_embed_multiworker_xpu.sh xpu/agg_kvbm_xpu.sh xpu/agg_lmcache_multiproc_xpu.sh "
        "xpu/agg_lmcache_xpu.sh xpu/agg_multimodal_router_chat_processor_xpu.sh xpu/agg_multimodal_router_xpu.sh "
        "xpu/agg_multimodal_xpu.sh xpu/agg_omni_realtime_xpu.sh xpu/agg_omni_video_xpu.sh "
        "xpu/agg_request_planes_xpu.sh xpu/agg_router_approx_xpu.sh xpu/agg_router_xpu.sh xpu/agg_xpu.sh "
        "xpu/cpu_encoder_for_epd.sh xpu/dep_xpu.sh xpu/disagg_hetero_xpu_prefill.sh "
        "xpu/disagg_hetero_xpu_prefill_cpu_decode.sh "
        "xpu/disagg_hetero_xpu_prefill_proxy.sh xpu/disagg_lmcache_xpu.sh xpu/disagg_multimodal_encode_cpu.sh "
        "xpu/disagg_multimodal_epd_xpu.sh xpu/disagg_router_xpu_gdr.sh xpu/disagg_same_xpu.sh xpu/disagg_xpu.sh "
        "xpu/dual_encoders_for_epd.sh xpu/full_test_device_aware_router_xpu_epd.sh "
        "xpu/loop_device_aware_router_vllm_3B.sh xpu/remote_search_kvbm_xpu.sh "
        "xpu/run_per_image_encode_schedule_benchmark.sh xpu/run_per_request_encode_schedule_benchmark.sh "
        "xpu/video_agg_xpu.sh",
    ),
]
CONVERTED = frozenset(
    "agg_asr.sh agg_classify.sh agg_embed_multiworker.sh agg_kvbm.sh agg_lmcache_mp.sh agg_multimodal.sh "
    "agg_multimodal_approx.sh agg_multimodal_ec_connector.sh agg_multimodal_epd.sh agg_multimodal_llama.sh "
    "agg_multimodal_router.sh agg_realtime_transcription.sh agg_request_planes.sh agg_router_approx.sh "
    "agg_router_replicas.sh disagg_multimodal_llama.sh video_agg.sh xpu/agg_xpu.sh "
    "agg_spec_decoding.sh agg_transcription.sh agg_vllm_serve.sh audio_disagg.sh conditional_prefill_v1_smoke_test.sh "
    "dep.sh disagg_lmcache.sh disagg_multi_cluster_infra.sh disagg_multimodal_epd.sh disagg_multimodal_p_d.sh "
    "disagg_router.sh disagg_same_gpu.sh disagg_tracing.sh dsr1_dep.sh dual_encoder_epd.sh enc_textonly_pd.sh "
    "lora/agg_lora_router.sh lora/agg_lora_s3.sh lora/multimodal/lora_agg.sh multi_node_tp.sh sidecar_disagg.sh "
    "xpu/disagg_hetero_cpu_decode.sh xpu/disagg_xpu.sh".split()
)
"""Scripts on whose text `dynkv init --from-script` was tried, each in one of its versions."""
SCRIPTS = sorted([*PROFILES, *NO_PROFILE], key=lambda script: ("/" in script.name, script.name))
