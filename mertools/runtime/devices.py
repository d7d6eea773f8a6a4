"""The devices that torch can compute on."""

from __future__ import annotations

import sys
from pathlib import Path

from mertools.errors import UsageError

AUTO = "auto"
CPU = "cpu"
ACCELERATORS = ("cuda", *(f"cuda:{index}" for index in range(16)), "mps")


DRIVERS = ("nvidia*", "nvhost*", "nvmap", "dxg", "kfd")
"""What drivers of GPUs put into /dev on Linux: NVIDIA's, on its boards too, Windows', and AMD's."""


def find_device(name: str) -> str:
    """Find a device by its name as torch has it: "cpu", "cuda", "cuda:1", "mps".

    "auto" is the first of cuda, mps and cpu that is there. Raises UsageError for a device that is
    not there, saying which are.
    """
    if name == CPU:
        return name
    found = _find_accelerators()
    if name == AUTO:
        return (found or [CPU])[0]
    if name not in found:
        raise UsageError(
            f"--device {name}", "is not there", f"choose from {', '.join([AUTO, CPU, *found])}"
        )
    return name


def training_precision(device: str) -> str:
    """Tell in which precision networks learn fastest on a device: "bfloat16" or "float32".

    bfloat16 is for products and convolutions only, in mixed precision, and only where the device
    computes it in hardware: elsewhere it is slower.
    """
    import torch

    if device.startswith("cuda"):
        in_hardware = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        # Only newer releases of torch tell what a processor can.
        capabilities: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()
        names = ("avx512_bf16", "amx_bf16")
        in_hardware = device == CPU and any(capabilities.get(name) for name in names)
    return "bfloat16" if in_hardware else "float32"


def _find_accelerators() -> list[str]:
    if sys.platform == "linux" and not any(any(Path("/dev").glob(name)) for name in DRIVERS):
        return []  # which torch, slow to load, would say too
    import torch

    n_cuda = torch.cuda.device_count() if torch.cuda.is_available() else 0
    n_mps = int(torch.backends.mps.is_available())
    return [*ACCELERATORS[: n_cuda + 1 if n_cuda else 0], *ACCELERATORS[-1:][:n_mps]]
