"""The architectures that can be trained: one light row each.

A row is all that `mer train NAME --help` needs to know, so it imports nothing. The module that a
row names is imported when something is trained or predicted. It has

- `restore(path, card, learnt)`: a model's file, read, into something with `predict(features)`;
- of a network, `build(shapes, n_outputs, **parameters)`: the network, its weights random;
- of an estimator, `fit(problem, points)`, models of the same rows, one for each point of a search,
  and `try_points(problem, points, features)`, what they predict of other rows.

A new architecture is one module and one row.
"""

from __future__ import annotations

from dataclasses import replace

from mertools.errors import UsageError, choose_from
from mertools.models.architecture import (
    OF_CLASSES,
    SKOPS_SUFFIX,
    TEXT_POOLS,
    Architecture,
    Branch,
    Objective,
    Parameter,
    Value,
    parameter_defaults,
)

__all__ = [
    "ARCHITECTURES",
    "NOTES",
    "OF_CLASSES",
    "Architecture",
    "Branch",
    "Objective",
    "Parameter",
    "Value",
    "find_architecture",
    "parameter_defaults",
]

NOTES = ("onset", "contour", "note")
"""Basic Pitch's posteriorgrams, in the order in which they lie side by side."""

_HEADS = Parameter("heads", 8, "attention heads of the sequence branch", span=(2, 16))
_SPECTROGRAM = Branch("spectrogram", ("mel",))
_SEQUENCE = Branch("sequence", NOTES)
_FRAMES = Branch("frames", ("mfcc",), "frames")
_STANDARDISE = Parameter(
    "standardise",
    "yes",
    "each column by the training part's mean and deviation, or not",
    choices=("yes", "no"),
)
_ALL_OBJECTIVES: tuple[Objective, ...] = ("hard", "soft", "mse", "mae")

_OF_CHOI = (
    Parameter("fourth_norm", "no", "a fourth batch normalisation", choices=("no", "yes")),
    Parameter("dropout", 0.4, "before the dense layers", high=1, low_included=True),
)
_VECTORS = Branch("vectors", ("handcrafted",), "vectors")
_OF_THE_COMPARISON = (
    Architecture(
        "choi",
        "baseline CNN of papers 001 and 002, on mel spectrograms of whole clips",
        (_SPECTROGRAM,),
        "network",
        "mertools.models.choi",
        _ALL_OBJECTIVES,
        parameters=_OF_CHOI,
    ),
    Architecture(
        "cnn-gru",
        "the convolutions of choi, followed by gated recurrent units over time",
        (_SPECTROGRAM,),
        "network",
        "mertools.models.cnn_gru",
        _ALL_OBJECTIVES,
        parameters=(
            Parameter(
                "gru.steps",
                0,
                "steps that the maps are read in; 0: a frame each",
                low_included=True,
            ),
            Parameter("gru.hidden", 128, "units of each layer", span=(32, 512)),
        ),
    ),
    Architecture(
        "crnn",
        "Won's convolutional recurrent network, on mel spectrograms of whole clips",
        (_SPECTROGRAM,),
        "network",
        "mertools.models.crnn",
        _ALL_OBJECTIVES,
        parameters=(
            Parameter(
                "variant",
                "won",
                "Won's network, or Choi's of 96 x 1,366 alone",
                choices=("won", "choi"),
            ),
        ),
    ),
    Architecture(
        "dnn",
        "dense network that looks at any vectors",
        (_VECTORS,),
        "network",
        "mertools.models.dnn",
        _ALL_OBJECTIVES,
    ),
    Architecture(
        "short-chunk",
        "Won's residual network, on mel spectrograms of short chunks that vote",
        (_SPECTROGRAM,),
        "network",
        "mertools.models.short_chunk",
        _ALL_OBJECTIVES,
        pool="mode",
    ),
    Architecture(
        "sample-cnn",
        "Lee's network of the waveform, on short chunks that vote",
        (Branch("wave", ("wave",)),),
        "network",
        "mertools.models.sample_cnn",
        _ALL_OBJECTIVES,
        pool="mode",
    ),
    Architecture(
        "artist",
        "Park's network of artists, on mel spectrograms of short chunks that vote",
        (_SPECTROGRAM,),
        "network",
        "mertools.models.artist",
        _ALL_OBJECTIVES,
        pool="mode",
    ),
    Architecture(
        "hybrid",
        "the convolutions of choi and the dense network of dnn, with one head",
        (_SPECTROGRAM, _VECTORS),
        "network",
        "mertools.models.hybrid",
        _ALL_OBJECTIVES,
        parameters=(
            replace(_OF_CHOI[0], default="yes"),
            replace(_OF_CHOI[1], default=0.3),
        ),
        parts={"spectrogram": "choi", "vectors": "dnn"},
    ),
    Architecture(
        "forest",
        "random forest that looks at any vectors",
        (_VECTORS,),
        "estimator",
        "mertools.models.forest",
        ("hard", "mse", "mae"),
        parameters=(
            Parameter(
                "max_features",
                0.0,
                "share of the columns that a split looks at; 0: their root for classes, all for "
                "a number",
                high=1.0000001,
                low_included=True,
                span=(0.01, 1.0),
            ),
            Parameter("n_estimators", 100, "trees", span=(50, 500)),
            Parameter("random_state", 1, "seed of the trees", low_included=True),
        ),
        units=("track", "segment"),
    ),
)
"""Of papers 001 and 002 (recipe comparison.md)."""

_SOUND = Branch("sound", ("mel",), hears_level=True)
LYRICS_BRANCH = "lyrics"
ENCODER_RATE = "encoder.learning_rate"
_LYRICS = Branch(LYRICS_BRANCH, ("lyrics",), "vectors", optional=True, tokens=True)
_OF_ENCODER = (
    Parameter("encoder.pool", "cls", "what stands for a text's tokens", choices=TEXT_POOLS),
    Parameter(ENCODER_RATE, 2e-5, "step size of a text encoder learnt along", span=(5e-6, 1e-4)),
)
_OF_VGG = (
    Parameter(
        "variant",
        "M2",
        "the tower of paper 004: M1 plain, M2 with batch normalisation and dropout, M3 and M4 with "
        "attention, M4 with two convolutions a block",
        choices=("M1", "M2", "M3", "M4"),
    ),
    Parameter(
        "attention.at",
        "variant",
        "features that attention weighs",
        choices=("variant", "none", "64", "256", "512"),
    ),
    Parameter(
        "floor",
        "corpus",
        "80 dB below the loudest cell of the training part, or of each track, as librosa's top_db",
        choices=("corpus", "track"),
    ),
    Parameter("scaling", "unit", "map decibels to 0..1, or leave them", choices=("unit", "none")),
)
_OF_SOUND_AND_LYRICS = (
    Architecture(
        "vgg",
        "VGG-like tower of paper 004, on mel spectrograms in absolute decibels",
        (_SOUND,),
        "network",
        "mertools.models.vgg",
        _ALL_OBJECTIVES,
        parameters=_OF_VGG,
    ),
    Architecture(
        "bimodal",
        "network of sound and lyrics: the tower of vgg beside a vector of the words",
        (_SOUND, _LYRICS),
        "network",
        "mertools.models.bimodal",
        _ALL_OBJECTIVES,
        parameters=(
            *_OF_VGG,
            Parameter("modality", "both", "what is looked at", choices=("both", "audio", "lyrics")),
            Parameter(
                "lyrics_dropout",
                0.0,
                "share of training rows that lose their lyrics, so that tracks without any are "
                "predicted from their sound",
                high=1,
                low_included=True,
            ),
            *_OF_ENCODER,
        ),
        parts={"sound": "vgg"},
    ),
    Architecture(
        "lyrics",
        "network that looks at the words alone",
        (replace(_LYRICS, optional=False),),
        "network",
        "mertools.models.lyrics",
        _ALL_OBJECTIVES,
        parameters=_OF_ENCODER,
    ),
    Architecture(
        "siamese",
        "Siamese network of sound and lyrics, for mer congruence",
        (
            Branch("sound", ("embedding",), "vectors"),
            Branch("lyrics", ("lyrics",), "vectors"),
        ),
        "pairs",
        "mertools.models.siamese",
        ("pairs",),
        parameters=(
            Parameter(
                "loss",
                "contrastive",
                "distances of pairs, or telling one's own lyrics among a batch's",
                choices=("contrastive", "infonce"),
            ),
            Parameter("temperature", 0.07, "of infonce"),
            Parameter(
                "negatives",
                "random",
                "whose lyrics a mismatched pair has",
                choices=("random", "other-quadrant", "same-quadrant"),
            ),
        ),
    ),
)
"""Of paper 004 (recipe bimodal.md)."""

ARCHITECTURES: dict[str, Architecture] = {
    row.name: row
    for row in (
        Architecture(
            "svm",
            "support vector machine",
            (Branch("vectors", ("handcrafted",), "vectors"),),
            "estimator",
            "mertools.models.svm",
            ("hard", "mse", "mae"),
            SKOPS_SUFFIX,
            (
                Parameter(
                    "C",
                    1.0,
                    "how strongly errors are punished",
                    grid=(0.3, 1.0, 3.0, 10.0),
                    span=(0.01, 100.0),
                ),
                Parameter(
                    "gamma",
                    0.5,
                    "how soon the kernel falls with the squared distance",
                    grid=(0.25, 0.5, 1.0),
                    span=(0.01, 10.0),
                    per_column=True,
                ),
            ),
            units=("track", "segment"),
            description="with an RBF kernel: calibrated posteriors of classes, or a number (SVR)",
        ),
        Architecture(
            "kernel",
            "kernel ridge regression",
            (Branch("vectors", ("musicnn", "tonal"), "vectors"),),
            "estimator",
            "mertools.models.kernel",
            ("soft", "mse", "mae"),
            parameters=(
                Parameter(
                    "gamma",
                    0.25,
                    "how soon the kernel falls with the mean squared difference of columns",
                    grid=(0.125, 0.25, 0.5),
                    span=(0.02, 2.0),
                ),
                Parameter(
                    "ridge",
                    0.4,
                    "how strongly large coefficients are held back",
                    grid=(0.1, 0.2, 0.4, 0.8),
                    span=(0.01, 10.0),
                ),
            ),
            options=frozenset({"share"}),
            description="of the annotators' distributions or a number, on several kinds of feature",
        ),
        Architecture(
            "cnn",
            "network on mel spectrograms",
            (_SPECTROGRAM,),
            "network",
            "mertools.models.cnn",
            _ALL_OBJECTIVES,
            description="four convolution blocks and three linear layers (paper 000)",
        ),
        Architecture(
            "lstm",
            "network on transcribed notes",
            (_SEQUENCE,),
            "network",
            "mertools.models.lstm",
            _ALL_OBJECTIVES,
            parameters=(_HEADS,),
            description="a bidirectional LSTM with self-attention (paper 000)",
        ),
        Architecture(
            "dual",
            "Dual-Stream network on both",
            (_SPECTROGRAM, _SEQUENCE),
            "network",
            "mertools.models.dual",
            _ALL_OBJECTIVES,
            parameters=(_HEADS,),
            description="the cnn's and the lstm's branches side by side (paper 000)",
        ),
        Architecture(
            "seq-cnn",
            "convolutional network that looks at frames over time, such as MFCC",
            (_FRAMES,),
            "network",
            "mertools.models.seq_cnn",
            _ALL_OBJECTIVES,
            parameters=(_STANDARDISE,),
        ),
        Architecture(
            "seq-lstm",
            "recurrent network that looks at frames over time, such as MFCC",
            (_FRAMES,),
            "network",
            "mertools.models.seq_lstm",
            _ALL_OBJECTIVES,
            parameters=(_STANDARDISE,),
        ),
        *_OF_THE_COMPARISON,
        *_OF_SOUND_AND_LYRICS,
    )
}


def find_architecture(name: str) -> Architecture:
    """Find an architecture by its name.

    Raises UsageError where there is none.
    """
    if name not in ARCHITECTURES:
        raise UsageError(name, "is no model", choose_from(ARCHITECTURES, name))
    return ARCHITECTURES[name]
