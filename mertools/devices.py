"""The devices that torch can compute on."""

from __future__ import annotations

from mertools.errors import UsageError

AUTO = "auto"
CPU = "cpu"


def find_device(name: str) -> str:
    """Find a device by its name as torch has it: "cpu", "cuda", "cuda:1", "mps".

    "auto" is the first of cuda, mps and cpu that is there. Raises UsageError for a device that is
    not there, saying which are.
    """
    if name == CPU:
        return name
    found = _accelerators()
    if name == AUTO:
        return (found or [CPU])[0]
    if name not in found:
        raise UsageError(
            f"--device {name}", "is not there", f"choose from {', '.join([AUTO, CPU, *found])}"
        )
    return name


def _accelerators() -> list[str]:
    import torch

    n_cuda = torch.cuda.device_count() if torch.cuda.is_available() else 0
    cuda = ["cuda", *(f"cuda:{index}" for index in range(n_cuda))] if n_cuda else []
    return cuda + (["mps"] if torch.backends.mps.is_available() else [])
