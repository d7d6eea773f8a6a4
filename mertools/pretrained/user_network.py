"""Running a network whose weights a user brings.

`mertools.pretrained.NAME_onnx` has `build_model(weights)`, the ONNX model with one input and one
output and the arrays that lie outside of it; `mertools.pretrained.NAME_torch` has
`build_module(weights)`, a torch module of the same.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mertools.pretrained.user_weights import Shapes, load_weights
from mertools.pretrained.weight_files import Weights
from mertools.runtime.devices import CPU

if TYPE_CHECKING:
    from onnxruntime import InferenceSession
    from torch.nn import Module

PACKAGE = __name__.rpartition(".")[0]


@dataclass(frozen=True, eq=False)
class UserNetwork:
    """A network by its name, with the shapes of its weights by theirs.

    A file may lack the weights of `optional`.
    """

    name: str
    shapes: Shapes
    optional: Shapes = field(default_factory=dict)

    def weights(self, digest: str) -> Weights:
        """Load the weights of a digest. Raises UsageError where there are none or others."""
        return _load_weights(self, digest)

    def run(self, values: NDArray[np.float32], digest: str, device: str) -> NDArray[np.float32]:
        """Run the network with the weights of a digest: by onnxruntime on a CPU, else by torch.

        Raises UsageError where there are no such weights.
        """
        if device == CPU:
            session = _load_session(self, digest)
            (found,) = session.run(None, {session.get_inputs()[0].name: values})
            return np.asarray(found, np.float32)
        import torch

        # TensorFloat-32, which torch lets cuDNN use, is too coarse to agree with the reference.
        with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            on_device = _load_module(self, digest, device)(torch.from_numpy(values).to(device))
        result: NDArray[np.float32] = on_device.cpu().numpy()
        return result


@lru_cache(maxsize=4)
def _load_weights(network: UserNetwork, digest: str) -> Weights:
    return load_weights(network.name, digest, network.shapes, network.optional)


@lru_cache(maxsize=4)
def _load_session(network: UserNetwork, digest: str) -> InferenceSession:
    from mertools.pretrained.onnx_session import start_session

    builder = import_module(f"{PACKAGE}.{network.name}_onnx")
    return start_session(*builder.build_model(network.weights(digest)))


@lru_cache(maxsize=4)
def _load_module(network: UserNetwork, digest: str, device: str) -> Module:
    builder = import_module(f"{PACKAGE}.{network.name}_torch")
    module: Module = builder.build_module(network.weights(digest)).to(device)
    return module
