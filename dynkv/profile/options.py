"""The options of the parsers of worker, frontend and sidecar, for when the stack's own parsers are not asked.

Each has its name, then its other spellings; `!` has a `--no-` form, `.` takes no value, `+` several.
Source: the parsers of `python -m dynamo.vllm` and `dynamo.frontend` in ai-dynamo 1.6.1 and vllm 0.31.0, and of `lmcache
server` in lmcache 0.5.6, recorded from their actions.
"""

from __future__ import annotations

RECORDED = {"ai-dynamo": "1.6.1", "vllm": "0.31.0"}
"""The versions recorded here; the parsers of other versions are asked."""
RECORDED_SIDECAR = {"lmcache": "0.5.6"}
RECORDED_FRONTEND = {"ai-dynamo": "1.6.1"}


VLLM = """
additional-config aggregate-engine-logging. all2all-backend allow-deprecated-quantization! allowed-local-media-path
allowed-media-domains+ async-scheduling! attention-backend attention-config|-ac aux-output-config block-size
code-revision collect-detailed-traces+ compilation-config|-cc config-format convert cp-kv-cache-interleave-size
cpu-distributed-timeout-seconds cpu-offload-gb cpu-offload-params+ cudagraph-capture-sizes+ cudagraph-metrics!
data-parallel-address|-dpa data-parallel-backend|-dpb data-parallel-external-lb|-dpe! data-parallel-hybrid-lb|-dph!
data-parallel-multi-port-external-lb|-dpm. data-parallel-rank|-dpn data-parallel-rpc-port|-dpp
data-parallel-size-local|-dpl data-parallel-size|-dp data-parallel-start-rank|-dpr dbo-decode-token-threshold
dbo-prefill-token-threshold dcp-comm-backend dcp-kv-cache-interleave-size dcp-q-replicate!
decode-context-parallel-size|-dcp default-mm-loras device-ids diffusion-config|-dc disable-cascade-attn!
disable-chunked-mm-input! disable-custom-all-reduce! disable-hybrid-kv-cache-manager! disable-log-stats.
disable-nccl-for-dp-synchronization! disable-sliding-window! distributed-executor-backend distributed-timeout-seconds
download-dir dp-sync-interval dtype ec-manager-config ec-transfer-config elastic-ep-max-dp-size
enable-batch-sharded-sampling! enable-chunked-prefill! enable-cumem-allocator! enable-dbo! enable-elastic-ep!
enable-ep-weight-filter! enable-eplb! enable-expert-parallel|-ep! enable-fault-tolerance! enable-flashinfer-autotune!
enable-layerwise-nvtx-tracing! enable-log-requests! enable-logging-iteration-details! enable-lora!
enable-mamba-cache-stochastic-rounding! enable-mamba-shared-prefix-checkpoint! enable-mfu-metrics!
enable-mixed-moe-lora-format! enable-mm-embeds! enable-moe-shared-loras! enable-nccl-comm-suspend!
enable-prefix-caching! enable-prompt-embeds! enable-return-routed-experts! enable-sleep-mode!
enable-tower-connector-lora! enable-trace-replay! enforce-eager! engram-config eplb-config expert-placement-strategy
fail-on-environ-validation! fault-tolerance-config fully-sharded-loras! gdn-prefill-backend generation-config
gpu-memory-utilization|device-memory-utilization hf-config-path hf-overrides hf-token ignore-patterns+
interleave-mm-strings! io-processor-plugin ir-op-priority jit-monitor-mode jit-monitor-verbose! kda-decode-backend
kda-prefill-backend kernel-config kv-cache-dtype kv-cache-dtype-skip-layers+ kv-cache-memory-bytes kv-cache-metrics!
kv-cache-metrics-sample kv-events-config kv-offloading-backend kv-offloading-size kv-sharing-fast-prefill!
kv-transfer-config language-model-only! limit-mm-per-prompt linear-backend load-format log-config-file log-level
logging-config logits-processors+ logprobs-mode long-prefill-token-threshold long-prefill-token-threshold-adaptive!
lora-dtype lora-target-modules+ mamba-backend mamba-block-size mamba-cache-dtype mamba-cache-mode
mamba-cache-philox-rounds mamba-ssm-cache-dtype mamba-ssu-algorithm master-addr master-port max-cpu-loras
max-cudagraph-capture-size max-logprobs max-lora-cls-labels max-lora-rank max-loras max-model-len max-num-active-seqs
max-num-batched-tokens max-num-queued-reqs max-num-queued-tokens max-num-scheduled-tokens max-num-seqs
max-parallel-loading-workers media-io-kwargs mm-device-do-normalize! mm-encoder-attn-backend mm-encoder-attn-dtype
mm-encoder-fp8-scale-path mm-encoder-fp8-scale-save-margin mm-encoder-fp8-scale-save-path mm-encoder-only!
mm-encoder-tp-mode mm-hasher-algorithm mm-ipc-gpu-memory-gb mm-processor-cache-gb mm-processor-cache-type
mm-processor-device mm-processor-kwargs mm-shm-cache-max-object-size-mb mm-tensor-ipc model model-class-overrides
model-impl model-loader-extra-config moe-backend nnodes|-n node-rank|-r num-gpu-blocks-override numa-bind!
numa-bind-cpus+ numa-bind-nodes+ offload-backend offload-group-size offload-num-in-group offload-params+
offload-prefetch-step optimization-level otlp-traces-endpoint override-generation-config
per-request-spec-decode-metrics performance-mode pipeline-parallel-size|-pp pooler-config
prefill-context-parallel-size|-pcp prefill-schedule-interval prefix-cache-retention-interval prefix-caching-hash-algo
prefix-match-unit profiler-config pt-load-map-location quantization-config quantization|-q ray-workers-use-nsight!
reasoning-config reasoning-parser reasoning-parser-plugin renderer-num-workers replayssm-buffer-len
return-sampling-mask! revision runner safetensors-load-strategy safetensors-prefetch-block-size
safetensors-prefetch-num-threads scheduler-cls scheduler-reserve-full-isl! scheduling-policy seed served-model-name+
show-hidden-metrics-for-version shutdown-timeout skip-mm-profiling! skip-tokenizer-init!
sleep-preserve-parameter-names+ sparse-indexer-topk-backend spec-method spec-model spec-tokens specialize-active-lora!
speculative-config|-sc stream-interval structured-outputs-config swa-bounded-replay! tensor-parallel-size|-tp
tokenizer tokenizer-mode tokenizer-revision trust-remote-code! ubatch-size use-fp64-gumbel! use-replayssm!
use-tqdm-on-load! video-pruning-method video-pruning-rate watermark watermark-config weight-transfer-config worker-cls
worker-extension-cls
"""
"""vLLM's options, which may be abbreviated, and written with underscores."""


DYNAMO = """
benchmark-collect-imbalanced! benchmark-decode-batch-granularity benchmark-decode-length-granularity
benchmark-hybrid-live-state! benchmark-max-batch-size benchmark-mode benchmark-output-path benchmark-points-file
benchmark-prefill-batch-granularity benchmark-prefill-granularity benchmark-prefill-kv-read-granularity
benchmark-randomize-kda-state! benchmark-timeout benchmark-warmup-iterations classify-worker! connector+
custom-encoder-class custom-jinja-template decode-max-batch-size-samples decode-max-kv-read-token-samples
disaggregation-mode discovery-backend dump-config-to dyn-default-thinking-mode dyn-enable-structural-tag!
dyn-reasoning-parser dyn-structural-tag dyn-structural-tag-schema dyn-structural-tag-scope dyn-tool-call-parser
embedding-frontend-tokenization! embedding-transfer-mode embedding-worker! embedding-worker-processes
enable-multimodal! enable-rl! endpoint endpoint-types|dyn-endpoint-types engine-request-limit event-plane
exclude-tools-when-tool-choice-none! fpm-trace! frontend-decoding! gms-shadow-mode! headless! health-check-payload
kv-state-endpoint media-output-fs-url media-output-http-url mm-prompt-template model-express-url
multimodal-embedding-cache-capacity-gb multimodal-embedding-cache-publisher! namespace nats-tls-ca-cert-path
nats-tls-client-cert-path nats-tls-client-key-path nats-tls-insecure! output-modalities+
prefill-max-kv-read-token-samples prefill-max-new-token-samples prefix-max-batch-size-samples realtime! request-plane
response-plane route-to-encoder! tcp-tls-ca-cert-path tcp-tls-cert-path tcp-tls-client-ca-cert-path
tcp-tls-client-cert-path tcp-tls-client-key-path tcp-tls-handshake-timeout tcp-tls-insecure! tcp-tls-key-path
tcp-tls-server-name use-vllm-tokenizer! version.
"""
"""Dynamo's own options, which are read first and only in full."""


MOCKER = "model-path model-name is-prefill-worker. is-decode-worker."
"""Options of `python -m dynamo.mocker` that vLLM does not have."""


FRONTEND = """
active-decode-blocks-threshold active-prefill-tokens-threshold active-prefill-tokens-threshold-frac admission-control
ais-attention-dp-size|aic-attention-dp-size ais-backend-version|aic-backend-version ais-backend|aic-backend
ais-model-path|aic-model-path ais-moe-ep-size|aic-moe-ep-size ais-moe-tp-size|aic-moe-tp-size
ais-mtp-seed|aic-mtp-seed ais-nextn-accept-rates|aic-nextn-accept-rates ais-nextn|aic-nextn ais-perf-config
ais-system|aic-system ais-tp-size|aic-tp-size discovery-backend dump-config-to dyn-chat-processor dyn-debug-perf!
dyn-preprocess-workers enable-anthropic-api! enable-session-prefix-index! enable-streaming-reasoning-dispatch!
enable-streaming-tool-dispatch! enforce-disagg! event-plane exclude-tools-when-tool-choice-none!
frontend-route-extension grpc-metrics-port http-host http-port interactive|-i! kserve-grpc-server! kv-cache-block-size
load-aware! metrics-prefix migration-limit migration-max-seq-len model-name model-path namespace namespace-prefix
nats-tls-ca-cert-path nats-tls-client-cert-path nats-tls-client-key-path nats-tls-insecure! reasoning-field-name
request-plane response-plane router-approximate-cache-policy router-assume-kv-reuse|assume-kv-reuse!
router-conditional-disagg! router-conditional-disagg-config router-decode-active-request-weight router-decode-policy
router-disk-cache-hit-weight router-event-threads router-host-cache-hit-weight router-kv-events|kv-events!
router-kv-overlap-score-credit router-kv-overlap-score-credit-decay
router-kv-overlap-score-weight|kv-overlap-score-weight router-min-initial-workers router-mode router-policy-config
router-predicted-ttl-secs router-prefill-load-model router-prefill-load-scale router-prefill-policy
router-queue-policy router-queue-threshold router-replica-sync! router-session-affinity-mode
router-session-affinity-ttl-secs router-temperature router-track-active-blocks|track-active-blocks!
router-track-output-blocks|track-output-blocks! router-track-prefill-tokens! router-tracking-hash
router-tracking-key-file router-tracking-key-id router-ttl-secs serve-indexer! shared-cache-multiplier
shared-cache-type strip-anthropic-preamble! tcp-tls-ca-cert-path tcp-tls-cert-path tcp-tls-client-ca-cert-path
tcp-tls-client-cert-path tcp-tls-client-key-path tcp-tls-key-path tls-cert-path tls-client-ca-cert-path tls-key-path
tokenizer tokenizer-fallback! trust-remote-code! use-remote-indexer! version.
"""
"""Options of `python -m dynamo.frontend`. Unknown ones go to the parser of a chat processor, if one is named."""


SIDECAR = """
chunk-size coordinator-advertise-ip coordinator-blend-match-concurrency coordinator-blend-timeout
coordinator-event-flush-interval coordinator-event-reporting. coordinator-event-transport
coordinator-heartbeat-interval coordinator-kafka-bootstrap-servers coordinator-kafka-delivery-timeout
coordinator-kafka-topic coordinator-l2-event-flush-interval coordinator-l2-event-reporting. coordinator-url
disable-grpc-metrics. disable-logging. disable-metrics. disable-observability. enable+ enable-blend-reorder.
enable-dedup-content. enable-extra-logging. enable-gc-monitor. enable-segmented-prefix. enable-tracing. engine-type
event-bus-queue-size eviction-policy eviction-ratio eviction-trigger-watermark extra-logging-interval
gc-monitor-min-pause-ms gc-monitor-top-objects gds-l1-backend gds-l1-path gds-l1-use-direct-io! grpc-server-workers
hash-algorithm host http-host http-port instance-id isolated-ipc! kv-event-log-size l1-align-bytes l1-devdax-path
l1-init-size-gb l1-manager l1-read-ttl-seconds l1-size-gb l1-use-hugepages! l1-use-lazy! l1-write-ttl-seconds
l2-adapter l2-prefetch-max-in-flight l2-prefetch-policy l2-store-policy lookup-hash-log-dir lookup-hash-log-max-files
lookup-hash-log-rotation-interval lookup-hash-log-rotation-max-size max-cpu-workers max-gpu-workers max-workers
metrics-sample-rate null-block-id otlp-endpoint p2p-advertise-url p2p-listen-url p2p-load-timeout p2p-lookup-timeout
p2p-transfer-engine periodic-notifier-interval-ms port prometheus-port run-script-api-enabled! runtime-plugin-config
runtime-plugin-locations+ script-allowed-imports+ separate-object-groups! server-module session-ttl-seconds shm-name
supported-transfer-mode trace-level trace-output transport worker-reap-timeout-seconds
worker-registration-grace-seconds
"""
"""Options of `lmcache server`."""
