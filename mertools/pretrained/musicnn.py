"""What MusiCNN's torch module and ONNX model have in common: sizes, and which channels are live.

J. Pons and X. Serra, *musicnn: pre-trained convolutional neural networks for music audio tagging*,
ISMIR 2019 late-breaking session. The reference is `MSD_musicnn` of musicnn 0.1.0, whose `models.py`
TensorFlow ran.

541 of the network's 753 channels are constant: training left their filters at zero, or their units
never active. They are left out here; their constant contribution is added to later biases.
"""

from __future__ import annotations

WEIGHTS = "musicnn"
"""Names the file of its weights."""

PATCH_FRAMES = 187
N_BANDS = 96

N_FRONT = 5
"""Convolutions side by side: two over time and frequency (timbral), three over time (temporal)."""
N_MIDDLE = 3
"""Convolutions over time, one after the other."""

N_FRONT_CHANNELS, N_MIDDLE_CHANNELS = 561, 64

# fmt: off
LIVE_FRONT = (
    12, 15, 27, 56, 59, 70, 78, 81, 83, 92, 102, 105, 121, 125, 154, 155, 158, 159, 160,
    164, 171, 176, 178, 218, 233, 239, 245, 254, 261, 272, 288, 327, 344, 367, 382, 398,
    406, 420, 446, 448, 462, 470, 471, 472, 487, 490, 509, 519, 520, 522, 524, 525, 527,
    529, 531, 533, 534, 537, 538, 541, 542, 544, 555, 558,
)
"""Those of the front end's channels that depend on what is heard, from 0."""

LIVE_MIDDLE = (
    4, 6, 10, 12, 13, 17, 18, 20, 22, 25, 31, 33, 40, 42, 47, 50, 51, 53, 60, 63,
)
"""The same of the first of the convolutions over time; all of the others do."""
# fmt: on

LIVE_CHANNELS = (
    *LIVE_FRONT,
    *(N_FRONT_CHANNELS + channel for channel in LIVE_MIDDLE),
    *range(N_FRONT_CHANNELS + N_MIDDLE_CHANNELS, N_FRONT_CHANNELS + N_MIDDLE * N_MIDDLE_CHANNELS),
)
"""The 212 live ones of all 753 channels."""


def padding(n_frames: int) -> tuple[int, int]:
    """Count the zeros before and after the input of a filter of `n_frames`, as TensorFlow pads."""
    return (n_frames - 1) // 2, n_frames // 2
