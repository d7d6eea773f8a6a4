"""Where features of segments lie in files, and reading them in batches or at once."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mertools.artifacts.feature_rows import Features, KindDescription
from mertools.artifacts.features_file import open_features, read_rows

BATCH_SIZE = 64
SHARE_OF_MEMORY = 0.25
"""Of this machine's memory, what features may take in all processes together."""


@dataclass(frozen=True)
class StoredFeatures:
    """Where the features of some segments lie.

    rows: for each kind and segment, which of `paths` and which row there.
    """

    paths: tuple[Path, ...]
    kinds: tuple[KindDescription, ...]
    rows: tuple[tuple[tuple[int, int], ...], ...]

    def __len__(self) -> int:
        return len(self.rows[0])

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """The shape of one segment's features, for each kind."""
        return tuple(kind.shape for kind in self.kinds)

    def n_bytes(self) -> int:
        """Compute how much memory all features take."""
        sizes = [np.dtype(kind.dtype).itemsize * int(np.prod(kind.shape)) for kind in self.kinds]
        return sum(sizes) * len(self)

    @contextmanager
    def open(self) -> Iterator[Batches]:
        """Open the files, to read features from them within the block."""
        with ExitStack() as stack:
            yield StoredBatches(self, stack)

    def load(self, n_processes: int = 1) -> Batches:
        """Read all features into memory if they fit there for each process, else open the files."""
        stack = ExitStack()
        batches = StoredBatches(self, stack)
        # Epochs read rows in random order, which takes HDF5 far longer than memory.
        if self.n_bytes() * n_processes <= SHARE_OF_MEMORY * _memory_bytes():
            with stack:
                batches.keep()
        return batches


class Batches(ABC):
    """The features of rows, read in any order."""

    @abstractmethod
    def read(self, rows: NDArray[np.int64]) -> list[Features]:
        """Read the features of some rows: for each kind (n_rows, *shape)."""

    def iterate(
        self, rows: NDArray[np.int64], kinds: Sequence[int] | None = None
    ) -> Iterator[list[Features]]:
        """Read the features of some rows batch by batch, of all kinds or of some by number."""
        for begin in range(0, len(rows), BATCH_SIZE):
            features = self.read(rows[begin : begin + BATCH_SIZE])
            yield features if kinds is None else [features[kind] for kind in kinds]


class StoredBatches(Batches):
    """The features of segments, from the files or from memory."""

    def __init__(self, stored: StoredFeatures, stack: ExitStack) -> None:
        self._stored = stored
        self._stack = stack  # closes the files when nobody holds it any more
        self._files = [stack.enter_context(open_features(path)) for path in stored.paths]
        self._kept: list[Features] | None = None

    def keep(self) -> None:
        """Read all into memory."""
        self._kept = self.read(np.arange(len(self._stored)))

    def read(self, rows: NDArray[np.int64]) -> list[Features]:
        """Read the features of some segments: for each kind (n_rows, *shape)."""
        if self._kept is not None:
            return [part[rows] for part in self._kept]
        return [
            read_rows(kind.name, [(self._files[of_kind[row][0]], of_kind[row][1]) for row in rows])
            for kind, of_kind in zip(self._stored.kinds, self._stored.rows, strict=True)
        ]


def _memory_bytes() -> int:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
