"""A trained network's last hidden layer, or a branch's output, as a kind of feature."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import cast

import numpy as np

from mertools.artifacts.feature_rows import FeatureRow, Features, KindDescription
from mertools.artifacts.features_file import (
    FeaturesFile,
    common_peak,
    open_features,
    read_rows,
    write_features,
)
from mertools.artifacts.files import digest_json, remove_stale_parts
from mertools.dataset.locate import KindRows, Located, align_levels, locate_rows
from mertools.errors import SchemaError, UsageError, choose_from
from mertools.features.registry import KINDS
from mertools.models.model import SelectingModel
from mertools.models.network import TrainedNetwork
from mertools.models.registry import find_architecture
from mertools.prediction.predictor import Predictor

LAST_LAYER = "last"
BATCH_SIZE = 64


def embed_features(
    target: Path, paths: Sequence[Path], predictor: Predictor, name: str, layer: str
) -> int:
    """Write the outputs of a network's layer to features.h5; return the number of segments.

    Augmented copies are embedded, too. `layer` is "last", the name of a branch, which looks at its
    own kinds only, or that of a layer within one (sound.pool). Raises UsageError where the model is
    no network, has no such layer, or `name` is a known kind, SchemaError where files hold no
    features that it can use.
    """
    architecture = find_architecture(predictor.card.architecture)
    if not isinstance(predictor.model, TrainedNetwork | SelectingModel) or not (
        architecture.is_network
    ):
        raise UsageError(predictor.path, f"is a {architecture.name}", "give a trained network")
    if name in KINDS:
        raise UsageError(f"--as {name}", "is a kind of mer's own", "choose another name")
    branches = [branch.name for branch in architecture.branches]
    if layer.partition(".")[0] not in (LAST_LAYER, *branches) or not predictor.model.has_layer(
        None if layer == LAST_LAYER else layer
    ):
        raise UsageError(
            f"--layer {layer}", "is not there", choose_from((LAST_LAYER, *branches), layer)
        )
    with ExitStack() as stack:
        files = [stack.enter_context(open_features(path)) for path in paths]
        aligned = find_inputs(files, predictor)
        # Segments that lack one of the inputs cannot be embedded.
        ids = [name for name in aligned[0] if all(name in of_kind for of_kind in aligned)]
        rows = [aligned[0][name].row for name in ids]
        read = _reader(predictor, aligned, rows, None if layer == LAST_LAYER else layer)
        # The shape of embeddings is known only from one that was computed.
        first = read(name, 0)
        description = _describe(predictor, name, layer, first.shape, rows)
        remove_stale_parts(target.parent, target.name)
        peak_db = common_peak(files)
        write_features(target, rows, [description], read, files[0].cutting, peak_db)
    return len(rows)


def find_inputs(files: Sequence[FeaturesFile], predictor: Predictor) -> list[dict[str, Located]]:
    """Find what a model looks at in files: for each kind of its card by segment_id.

    Raises SchemaError where they do not hold a kind, made as the model needs it.
    """
    architecture = find_architecture(predictor.card.architecture)
    kinds = []
    for number, needed in enumerate(predictor.card.inputs):
        holders = [
            file
            for file in files
            if needed.kind in file.kinds
            and file.kinds[needed.kind].params_digest == needed.params_digest
        ]
        if not holders:
            raise SchemaError(
                files[0].path,
                f"holds no {needed.kind} features that {predictor.path} can use",
                f"make them with the parameters that mer inspect {predictor.path} shows",
            )
        located = locate_rows(holders, needed.kind, lambda _row: True)
        kinds.append(KindRows(needed.level, located, architecture.may_lack(number)))
    return align_levels(kinds)


def _reader(
    predictor: Predictor,
    aligned: Sequence[dict[str, Located]],
    rows: Sequence[FeatureRow],
    branch: str | None,
) -> Callable[[str, int], Features]:
    """Give a function that reads each row's embedding; they are computed batch by batch."""
    network = cast(TrainedNetwork, predictor.model)
    kinds = predictor.kind_names
    computed: dict[int, Features] = {}

    def read(_kind: str, row: int) -> Features:
        batch = row // BATCH_SIZE
        # Rows are asked for in order, so that only the batch at hand is kept.
        if batch not in computed:
            computed.clear()
            some = rows[batch * BATCH_SIZE : (batch + 1) * BATCH_SIZE]
            found = [[of_kind[each.segment_id] for each in some] for of_kind in aligned]
            features = [
                read_rows(kind, [(each.file, each.index) for each in of_kind])
                for kind, of_kind in zip(kinds, found, strict=True)
            ]
            computed[batch] = network.embed(features, branch)
        features_of_row: Features = computed[batch][row % BATCH_SIZE]
        return features_of_row

    return read


def _describe(
    predictor: Predictor, name: str, layer: str, shape: tuple[int, ...], rows: Sequence[FeatureRow]
) -> KindDescription:
    params = {
        "model": predictor.digest,
        "layer": layer,
        "sample_rate": predictor.card.sample_rate,
    }
    # Features of whole tracks, as lyrics are, give embeddings of whole tracks.
    are_tracks = all(row.segment_id == row.track_id for row in rows)
    n_columns = int(np.prod(shape))
    return KindDescription(
        name,
        shape,
        "float32",
        ("segment", "column"),
        tuple(f"{name}_{k}" for k in range(1, n_columns + 1)),
        "1",
        params,
        digest_json({"kind": name, "params": params}),
        "torch",
        level="track" if are_tracks else "segment",
    )
