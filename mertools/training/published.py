"""Networks that others trained and published, as models to begin with (`--init`) or to embed by.

A row for each network; `mer import weights` lists them. What it writes is a model as any other: it
says which features it looks at, and its card has no training of ours.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mertools.artifacts.feature_rows import Cutting
from mertools.artifacts.files import digest_file
from mertools.artifacts.model_card import Input, ModelCard
from mertools.artifacts.model_file import write_model
from mertools.errors import UsageError
from mertools.features.params import stored_params
from mertools.features.registry import request_kind
from mertools.models import artist, choi_crnn
from mertools.models.network import Network, describe_form
from mertools.models.registry import find_architecture
from mertools.pretrained.keras_file import NORM_EPSILON, Layer, read_layers
from mertools.pretrained.publications import read_state
from mertools.pretrained.user_weights import check_weights
from mertools.targets.scale import Classes, Range, Target, class_names

Weights = dict[str, NDArray[Any]]

COUNTER = "num_batches_tracked"
"""Of a batch normalisation; torch has it, and nothing depends on it."""

# In the order of the network's outputs, as the authors' README lists them.
# fmt: off
MSD_TAGS = (
    "rock", "pop", "alternative", "indie", "electronic", "female vocalists", "dance",
    "00s", "alternative rock", "jazz", "beautiful", "metal", "chillout", "male vocalists",
    "classic rock", "soul", "indie rock", "Mellow", "electronica", "80s", "folk", "90s",
    "chill", "instrumental", "punk", "oldies", "blues", "hard rock", "ambient",
    "acoustic", "experimental", "female vocalist", "guitar", "Hip-Hop", "70s", "party",
    "country", "easy listening", "sexy", "catchy", "funk", "electro", "heavy metal",
    "Progressive rock", "60s", "rnb", "indie pop", "sad", "House", "happy",
)
# fmt: on
N_TAGS = 50

CHOI_MEAN_DB, CHOI_DEVIATION_DB = -13.55, 8.34
"""Level of music under Choi's front end: its file expects inputs of zero mean and unit variance,
and gives no constants. Measured on 38 tracks of Emotify, where means and deviations within the
network agree with those that the file remembers (tests/training/test_published.py)."""

WON_EPSILON = 1e-5
"""Of a batch normalisation, torch's default."""


@dataclass(frozen=True)
class PublishedModel:
    """A published network: the architecture that it is of, and how its file is read.

    `mel` are the parameters of its features that are not the kind's defaults, `length_s` and
    `hop_s` how tracks are cut. `read` maps a file to weights by the architecture's names.
    """

    name: str
    architecture: str
    target: Target
    mel: Mapping[str, str | int | float]
    length_s: float
    hop_s: float
    read: Callable[[Path], Weights]
    source: str
    standardisation: str = "none"
    form: Mapping[str, Any] = field(default_factory=dict)
    licence: str | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """Bands and frames of a segment."""
        n_samples = round(self.length_s * float(self.mel["sample_rate"]))
        return int(self.mel["n_mels"]), 1 + n_samples // int(self.mel["hop_length"])


def import_model(published: PublishedModel, path: Path, output: Path) -> int:
    """Write a published file as a model; return the number of its weights.

    Raises UsageError where the file cannot be read, SchemaError where it holds other weights.
    """
    architecture = find_architecture(published.architecture)
    with torch.device("meta"):
        network: Network = architecture.load_module().build(
            [published.shape], published.target.scale.n_outputs, **published.form
        )
    if not path.is_file():
        raise UsageError(path, "does not exist", "give the file as its authors publish it")
    weights = published.read(path)
    expected = {
        name: tuple(weight.shape)
        for name, weight in network.state_dict().items()
        if not name.endswith(COUNTER)
    }
    check_weights(path, weights, expected, {})
    counters = {
        name: np.zeros((), np.int64) for name in network.state_dict() if name.endswith(COUNTER)
    }
    card = _make_card(published, path, network)
    write_model(output, card, {**weights, **counters}, architecture.suffix)
    return network.n_parameters()


def _make_card(published: PublishedModel, path: Path, network: Network) -> ModelCard:
    kind = request_kind("mel", settings={"n_frames": 0, "reference": "absolute", **published.mel})
    return ModelCard(
        architecture=published.architecture,
        targets=(published.target,),
        inputs=(Input("mel", stored_params(kind.params), kind.digest, published.shape),),
        sample_rate=kind.sample_rate,
        cutting=Cutting(published.length_s, published.hop_s, "auto"),
        unit="segment",
        columns=(),
        standardisation=published.standardisation,
        form=describe_form(network, published.form),
        training={"digest": digest_file(path), "source": published.source},
        seed=0,
        search={"n_folds": 0, "criterion": "none", "grid": {}, "chosen": {}},
        scores={"folds": [], "levels": {}},
        versions={},
        pool=find_architecture(published.architecture).pool,
        licence=published.licence,
    )


def _read_choi(path: Path) -> Weights:
    """Read Choi's file, of Keras 1 with the order of dimensions of Theano."""
    norm = "batch normalisation by deviations"
    layers = [Layer("spectrogram.norm", norm)]
    for k in range(len(choi_crnn.CHANNELS)):
        layers.append(Layer(f"spectrogram.blocks.{k}.0", "convolution with kernels first"))
        layers.append(Layer(f"spectrogram.blocks.{k}.1", norm))
    layers += [Layer(f"spectrogram.gru.{k}", "GRU of Keras 1") for k in range(2)]
    layers.append(Layer("classifier", "dense layer"))
    level = {"mean": CHOI_MEAN_DB, "scale": CHOI_DEVIATION_DB}
    return read_layers(path, layers) | {
        f"spectrogram.level.{name}": np.array(value, np.float32) for name, value in level.items()
    }


def _read_won(path: Path) -> Weights:
    """Read Won's file: torch's state of a CRNN with its front end, which is left out."""
    renamed = {"spec_bn": "spectrogram.norm", "layer5": "spectrogram.gru", "dense": "classifier"}
    for k in range(4):
        renamed[f"layer{k + 1}.conv"] = f"spectrogram.blocks.{k}.0"
        renamed[f"layer{k + 1}.bn"] = f"spectrogram.blocks.{k}.1"
    weights: Weights = {}
    for name, array in read_state(path).items():
        if not name.startswith("spec.") and not name.endswith(COUNTER):
            layer, _, part = name.rpartition(".")
            weights[f"{renamed.get(layer, layer)}.{part}"] = array
    for name in [name for name in weights if name.endswith("running_var")]:
        # Our networks add another small number to the variance.
        variance = weights[name].astype(np.float64)
        scale = np.sqrt((variance + NORM_EPSILON) / (variance + WON_EPSILON))
        gamma = f"{name.rpartition('.')[0]}.weight"
        if gamma in weights:
            weights[gamma] = (weights[gamma] * scale).astype(np.float32)
    return weights


def _read_artist(path: Path) -> Weights:
    """Read Park's file, of Keras 2. It compares embeddings, and has no last layer."""
    layers = []
    for k in range(len(artist.CHANNELS)):
        layers.append(Layer(f"spectrogram.blocks.{k}.convolution", "convolution"))
        layers.append(Layer(f"spectrogram.blocks.{k}.norm", "batch normalisation"))
    return read_layers(path, layers) | {
        "classifier.weight": np.zeros((1, artist.CHANNELS[-1]), np.float32),
        "classifier.bias": np.zeros(1, np.float32),
    }


PUBLISHED: Mapping[str, PublishedModel] = {
    row.name: row
    for row in (
        PublishedModel(
            "choi-crnn",
            "crnn",
            Target("tag", Classes(MSD_TAGS, ordered=False)),
            # The authors square the power, which doubles decibels: 80 of theirs are 40 here.
            {"sample_rate": 12000, "n_fft": 512, "hop_length": 256, "n_mels": 96, "top_db": 40.0},
            29.12,
            29.12,
            _read_choi,
            "music_tagger_crnn_weights_tensorflow.h5 of "
            "https://github.com/keunwoochoi/music-auto_tagging-keras",
            choi_crnn.STANDARDISATION,
            {"variant": "choi"},
            "MIT",
        ),
        PublishedModel(
            "won-crnn",
            "crnn",
            Target("tag", Classes(class_names("tag", N_TAGS), ordered=False)),
            {
                "sample_rate": 16000,
                "n_fft": 512,
                "hop_length": 256,
                "n_mels": 96,
                "top_db": 0.0,
                "bands": "htk",
            },
            29.0,
            29.0,
            _read_won,
            "models/{mtat,jamendo,msd}/crnn/best_model.pth of "
            "https://github.com/minzwon/sota-music-tagging-models",
            form={"variant": "won"},
            licence="MIT",
        ),
        PublishedModel(
            "artist",
            "artist",
            Target("none", Range(0, 1)),
            {
                "sample_rate": 22050,
                "n_fft": 1024,
                "hop_length": 512,
                "n_mels": 128,
                "top_db": 0.0,
                "power": 1,
            },
            # 129 frames, and from one chunk's first frame to that of the next.
            128 * 512 / 22050,
            129 * 512 / 22050,
            _read_artist,
            "models/model_siamese_10000_4_0.40/*.h5 of "
            "https://github.com/jongpillee/ismir2018-artist",
            artist.STANDARDISATION,
        ),
    )
}
