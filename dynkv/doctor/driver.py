"""Whether NVIDIA's driver answers and shows all GPUs. Pure; needs no plan, since without GPUs there may be none."""

from __future__ import annotations

from collections.abc import Iterator

from dynkv.doctor.findings import Finding, finding
from dynkv.plan.facts import HostFacts


def checks(facts: HostFacts) -> Iterator[Finding]:
    driver = facts.driver
    if driver.problem and driver.devices:
        yield finding(
            "gpu-driver",
            f"the NVIDIA driver does not answer: {driver.problem}",
            f"there are {driver.devices} NVIDIA GPUs on the PCI bus, which nothing can use without the driver",
            "run nvidia-smi: it says the same with more detail; after an update of the driver, reboot",
        )
    if driver.hidden:
        yield finding(
            "gpus-hidden",
            f"CUDA_VISIBLE_DEVICES leaves out GPU {', '.join(driver.hidden)}",
            "the plan uses only the GPUs that it names",
            "unset it to plan with all GPUs; --gpus chooses among them",
        )
