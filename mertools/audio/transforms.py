"""Changes of sound that leave its emotion much as it is, to learn from more of it.

Those of paper 001: time shift, pitch shift, time stretch and power of its own, and the others with
the ranges and formulas of audiomentations 0.30 (MIT licence), which its scripts used. Here they are
written with numpy and scipy. All take sound of shape (n_frames, channels) at a sample rate in Hz
and give the same number of frames.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mertools.audio.phase_vocoder import Sound, stretch
from mertools.errors import InputError

Values = Mapping[str, float]

HIGHEST = 0.95
"""Of half the sample rate, what filters reach to."""

SHELF, PEAK = (0.1, 0.999), (0.5, 5.0)
BANDS = (
    ("low shelf", 42.0, 95.0, SHELF),
    ("peak", 91.0, 204.0, PEAK),
    ("peak", 196.0, 441.0, PEAK),
    ("peak", 421.0, 948.0, PEAK),
    ("peak", 909.0, 2045.0, PEAK),
    ("peak", 1957.0, 4404.0, PEAK),
    ("high shelf", 4216.0, 9486.0, SHELF),
)
"""The equaliser's bands: form, range of frequency in Hz, and range of Q."""


@dataclass(frozen=True)
class Span:
    """What a parameter is drawn from, evenly; `mel` is even on the mel scale, `step` in steps.

    Values that are given lie within `least` and `most`.
    """

    low: float
    high: float
    least: float = -math.inf
    most: float = math.inf
    mel: bool = False
    step: float = 0.0

    def draw(self, rng: np.random.Generator) -> float:
        """Draw a value."""
        if self.step:
            n_steps = int((self.high - self.low) // self.step)
            return self.low + self.step * int(rng.integers(n_steps + 1))
        if self.mel:
            return _mel_to_hz(float(rng.uniform(_hz_to_mel(self.low), _hz_to_mel(self.high))))
        return float(rng.uniform(self.low, self.high))


@dataclass(frozen=True)
class Transform:
    """A change of sound, with the parameters that are drawn for it."""

    spans: Mapping[str, Span]
    apply: Callable[[Sound, int, Values], Sound]


def time_shift(y: Sound, sample_rate: int, values: Values) -> Sound:
    """Move sound later by `seconds`, or earlier where negative; the gap is silent."""
    shift = max(-len(y), min(len(y), round(values["seconds"] * sample_rate)))
    moved = np.zeros_like(y)
    if shift >= 0:
        moved[shift:] = y[: len(y) - shift]
    else:
        moved[:shift] = y[-shift:]
    return moved


def pitch_shift(y: Sound, sample_rate: int, values: Values) -> Sound:
    """Raise the pitch by `semitones`; the tempo stays (phase vocoder and resampling)."""
    import soxr

    # Played slower at the same pitch, then as fast as before at another.
    rate = 2 ** (-values["semitones"] / 12)
    return _fit_length(soxr.resample(_stretch(y, rate), 1 / rate, 1), len(y))


def time_stretch(y: Sound, sample_rate: int, values: Values) -> Sound:
    """Play `rate` times as fast at the same pitch; crop the end, or fill it up with silence."""
    return _fit_length(_stretch(y, values["rate"]), len(y))


def change_level(y: Sound, sample_rate: int, values: Values) -> Sound:
    """Change the level by `db`; nothing is clipped."""
    return y * np.float32(10 ** (values["db"] / 20))


def mask(y: Sound, sample_rate: int, values: Values) -> Sound:
    """Silence a `share` of the time, and stop a band of frequencies.

    The silence begins at the share `start` of what is left. The band has its `centre` in Hz, a
    `width` relative to it, and edges that fall by `slope` dB an octave (Butterworth).
    """
    from scipy.signal import butter, sosfilt

    n_silent = round(values["share"] * len(y))
    first = round(values["start"] * (len(y) - n_silent))
    masked = y.copy()
    masked[first : first + n_silent] = 0
    nyquist = sample_rate / 2
    half = values["centre"] * values["width"] / 2
    low = max(1.0, values["centre"] - half)
    high = min(HIGHEST * nyquist, values["centre"] + half)
    if low >= high:
        return masked
    order = round(values["slope"] / 6)
    sos = butter(order, [low / nyquist, high / nyquist], "bandstop", output="sos")
    filtered: Sound = sosfilt(sos, masked, axis=0).astype(np.float32)
    return filtered


def equalise(y: Sound, sample_rate: int, values: Values) -> Sound:
    """Raise or lower seven bands: frequency `hz_N`, gain `db_N` and quality `q_N` of each.

    The filters are those of R. Bristow-Johnson, "Cookbook formulae for audio equalizer biquad
    filter coefficients". A band above half the sample rate is left out.
    """
    from scipy.signal import sosfilt

    sections = []
    for number, (form, lowest, _, _) in enumerate(BANDS, start=1):
        if lowest < HIGHEST * sample_rate / 2:
            hz = min(values[f"hz_{number}"], HIGHEST * sample_rate / 2)
            omega = 2 * math.pi * hz / sample_rate
            sections.append(_biquad(form, omega, values[f"db_{number}"], values[f"q_{number}"]))
    filtered: Sound = sosfilt(np.array(sections), y, axis=0).astype(np.float32)
    return filtered


def _biquad(form: str, omega: float, gain_db: float, q: float) -> list[float]:
    """Give the coefficients of a filter of second order, a_0 scaled to 1."""
    amplitude = 10 ** (gain_db / 40)
    alpha, cosine = math.sin(omega) / (2 * q), math.cos(omega)
    if form == "peak":
        b = [1 + alpha * amplitude, -2 * cosine, 1 - alpha * amplitude]
        a = [1 + alpha / amplitude, -2 * cosine, 1 - alpha / amplitude]
    else:
        # The high shelf is the low one mirrored: pi - omega has the negative cosine.
        sign = 1 if form == "low shelf" else -1
        more, less = amplitude + 1, amplitude - 1
        edge = 2 * math.sqrt(amplitude) * alpha
        c = sign * cosine
        b = [
            amplitude * (more - less * c + edge),
            sign * 2 * amplitude * (less - more * c),
            amplitude * (more - less * c - edge),
        ]
        a = [more + less * c + edge, sign * -2 * (less + more * c), more + less * c - edge]
    return [value / a[0] for value in (*b, *a)]


def distort(y: Sound, sample_rate: int, values: Values) -> Sound:
    """Bend loud samples by tanh, the more the greater `amount`; the RMS stays.

    The gain before it puts the (100 - 99 amount)th percentile of |y| at 0.5.
    """
    threshold = np.percentile(np.abs(y), 100 - 99 * values["amount"])
    bent = np.tanh(y * (0.5 / (threshold + 1e-6)))
    before, after = _rms(y), _rms(bent)
    restored: Sound = (bent * (before / after if after > 0 else 1.0)).astype(np.float32)
    return restored


def add_noise(y: Sound, noise: Sound, snr_db: float, start: float) -> Sound:
    """Add noise, (n, 1), `snr_db` below the sound.

    Shorter noise is looped; of longer noise a stretch from the share `start` of what is left.
    """
    first = round(start * max(0, len(noise) - len(y)))
    looped = np.resize(noise[first:], (len(y), 1))
    level = _rms(looped)
    if not level:
        return y
    added: Sound = y + looped * np.float32(_rms(y) / 10 ** (snr_db / 20) / level)
    return added


def read_noise(path: Path, sample_rate: int) -> Sound:
    """Read noise at a sample rate in Hz, mixed to mono: (n_frames, 1).

    Raises InputError where it cannot be read.
    """
    import soxr

    from mertools.audio.io import mix_to_mono, probe, read_blocks

    info = probe(path)
    noise = np.concatenate([mix_to_mono(block) for block in read_blocks(path, info)])
    if info.sample_rate != sample_rate:
        noise = soxr.resample(noise, info.sample_rate, sample_rate)
    if not len(noise):
        raise InputError(path, "is too short for noise", "leave it out")
    return noise


def choose_noise(paths: Sequence[Path], rng: np.random.Generator) -> Path:
    """Choose one of some files."""
    return paths[int(rng.integers(len(paths)))]


def _stretch(y: Sound, rate: float) -> Sound:
    return np.stack([stretch(channel, rate) for channel in y.T], axis=1)


def _fit_length(y: NDArray[np.floating], n_frames: int) -> Sound:
    """Crop the end of sound, or fill it up with silence."""
    cropped = y[:n_frames].astype(np.float32)
    return np.pad(cropped, ((0, n_frames - len(cropped)), (0, 0)))


def _rms(y: NDArray[np.floating]) -> float:
    return float(np.sqrt(np.mean(np.square(y, dtype=np.float64)))) if y.size else 0.0


def _hz_to_mel(hz: float) -> float:
    return 2595 * math.log10(1 + hz / 700)


def _mel_to_hz(mel: float) -> float:
    return 700 * (10 ** (mel / 2595) - 1)


def _keep(y: Sound, sample_rate: int, values: Values) -> Sound:
    return y


NOISE = "background-noise"
"""The transform that needs files beside its parameters: `add_noise` adds one of them."""

_EQUALISER = {
    name: span
    for number, (_, low, high, (least_q, most_q)) in enumerate(BANDS, start=1)
    for name, span in (
        (f"hz_{number}", Span(low, high, 1)),
        (f"db_{number}", Span(-12, 12)),
        (f"q_{number}", Span(least_q, most_q, 0.01)),
    )
}

TRANSFORMS: Mapping[str, Transform] = {
    "time-shift": Transform({"seconds": Span(-5, 5)}, time_shift),
    "pitch-shift": Transform({"semitones": Span(-2, 2, -48, 48)}, pitch_shift),
    "time-stretch": Transform({"rate": Span(0.5, 1.5, 0.05, 20)}, time_stretch),
    "power": Transform({"db": Span(-10, 10)}, change_level),
    "mask": Transform(
        {
            "share": Span(0, 0.5, 0, 1),
            "start": Span(0, 1, 0, 1),
            "centre": Span(200, 4000, 1, mel=True),
            "width": Span(0.5, 1.99, 0.01, 2),
            "slope": Span(12, 24, 6, 96, step=6),
        },
        mask,
    ),
    "equaliser": Transform(_EQUALISER, equalise),
    "distortion": Transform({"amount": Span(0.01, 0.7, 0, 1)}, distort),
    "gain": Transform({"db": Span(-12, 12)}, change_level),
    NOISE: Transform({"snr": Span(3, 30), "start": Span(0, 1, 0, 1)}, _keep),
}
"""Every transform by the name that `mer augment --with` gives it."""
