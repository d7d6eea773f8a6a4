"""The state of a training, saved so that a killed run goes on as if nothing had happened.

Files of safetensors with JSON in the metadata, each replaced whole. It holds no states
of random generators: every epoch draws from a generator of its own, seeded by its number.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from torch import Tensor

from mertools.artifacts.files import (
    WORKERS_OUTLIVE_S,
    lock_before,
    make_folder,
    remove_stale_parts,
    replacing,
)
from mertools.errors import MerError

META_KEY = "state"
SEPARATOR = "/"

Tensors = Mapping[str, Mapping[str, Tensor]]
"""Tensors by name, in named groups."""

Saved = tuple[dict[str, Any], dict[str, dict[str, Tensor]]]
"""What JSON can hold, and groups of tensors."""


def save(path: Path, content: Mapping[str, Any], tensors: Tensors) -> None:
    """Write what JSON can hold, and groups of tensors."""
    from safetensors.torch import save as to_bytes

    flat = {
        SEPARATOR.join((group, name)): tensor
        for group, named in tensors.items()
        for name, tensor in named.items()
    }
    with replacing(path) as part:
        part.write_bytes(to_bytes(flat, {META_KEY: json.dumps(content)}))


def load(path: Path) -> Saved | None:
    """Read what `save` has written; None where there is nothing."""
    from safetensors import safe_open

    if not path.exists():
        return None
    groups: dict[str, dict[str, Tensor]] = {}
    with safe_open(path, "pt") as file:
        for key in file.keys():  # noqa: SIM118, it is no mapping
            group, _, name = key.partition(SEPARATOR)
            groups.setdefault(group, {})[name] = file.get_tensor(key)
        return json.loads(file.metadata()[META_KEY]), groups


class StateFolder:
    """The folder beside an output in which unfinished trainings are saved.

    One process holds it at a time. Raises MerError where another one does, UsageError where the
    folder cannot be made.
    """

    def __init__(self, target: Path, *, resume: bool) -> None:
        self.path = target.with_name(f".{target.name}.state")
        make_folder(self.path)
        self._descriptor = os.open(self.path, os.O_RDONLY)
        if not lock_before(time.monotonic() + WORKERS_OUTLIVE_S, self._descriptor):
            os.close(self._descriptor)
            raise MerError(
                target, "is being trained by another process", "wait for it, or choose another -o"
            )
        remove_stale_parts(self.path)
        if not resume:
            for file in self.path.iterdir():
                file.unlink()

    def __enter__(self) -> StateFolder:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.close(self._descriptor)

    def discard(self) -> None:
        """Delete the folder: the output is written."""
        shutil.rmtree(self.path)
