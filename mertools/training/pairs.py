"""Training a Siamese network on pairs: each track's sound with its own lyrics, and with others'.

Negatives are redrawn each epoch among the tracks that are learnt from; those of the validation part
are fixed. What is kept are the weights of the epoch whose AUC is best there.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mertools.artifacts.feature_rows import Features
from mertools.dataset.dataset import Dataset
from mertools.errors import UsageError
from mertools.evaluation.congruence import (
    Songs,
    auc_of,
    describe_matching,
    draw_negatives,
    mismatch,
    number_equal,
)
from mertools.evaluation.quadrants import AXES, find_quadrants
from mertools.models.model import are_numbers
from mertools.models.network import copy_weights
from mertools.models.siamese import TOWER, Siamese, TrainedSiamese, build
from mertools.targets.pooling import duration_weighted_means
from mertools.targets.scale import Range
from mertools.training.loop import Epoch
from mertools.training.plan import Fit, Plan, Task, split_tracks
from mertools.training.recipes import Recipe

RANDOM = "random"
MARGIN = 1.0
"""The distance that mismatched pairs should have at least; the largest possible is 2."""


@dataclass(frozen=True)
class PairedTracks:
    """Vectors of n tracks on a device, those of sound and of lyrics, and what tells them apart."""

    sound: Tensor
    lyrics: Tensor
    songs: Songs


def fit_pairs(plan: Plan, task: Task) -> Fit:
    """Train a Siamese network on the tracks that are to be learnt from.

    Raises UsageError where there are too few to pair, or their quadrants are asked for and unknown.
    """
    data, settings = plan.dataset, plan.settings
    recipe, seed = settings.recipe.replaced(task.point or {}), settings.seed + task.repeat
    torch.set_num_threads(settings.n_threads)
    torch.manual_seed(seed)
    tower = _tower_of(plan)
    network = build(data.stored.shapes, tower).to(settings.device)
    _take_over_tower(network, plan)
    tracks, has_words = _load(plan, network)
    parts = split_tracks(plan, task, float(recipe["validation"]))
    learn, validate = (
        _take(tracks, np.flatnonzero(part & has_words)) for part in (parts.learn, parts.validate)
    )
    if len(learn.songs.texts) < 2 or len(validate.songs.texts) < 2:
        raise UsageError("pairs", "need two tracks to learn from and two to validate", "give more")
    history, kept = _train(network, learn, validate, recipe, seed)
    network.load_state_dict(kept[1])
    similarity = _compare(network, validate)
    matching = describe_matching(similarity, validate.songs, settings.seed)
    return Fit(
        task.point or {},
        np.zeros((0, 0)),
        {name: matching[name] for name in ("auc", "median_rank") if matching[name] is not None},
        tuple(history),
        kept[0],
        0.0,
        {name: weight.numpy() for name, weight in copy_weights(network).items()},
        network.describe(recipe.form, tower),
    )


def _tower_of(plan: Plan) -> dict[str, str]:
    """Give the parameters of the convolutions that --init gives the sound; none for vectors."""
    starts = plan.settings.starts
    if not starts:
        return {}
    form = starts[-1].card.form
    if not all(name in form for name in TOWER):
        raise UsageError(
            f"--init {starts[-1].path}", "has no tower of sound", "give a vgg or bimodal network"
        )
    return {name: str(form[name]) for name in TOWER}


def _take_over_tower(network: Siamese, plan: Plan) -> None:
    for start in plan.settings.starts:
        expected = network.sound.state_dict()
        found = {
            name: torch.tensor(start.weights[f"sound.{name}"])
            for name in expected
            if f"sound.{name}" in start.weights
        }
        if found.keys() != expected.keys() or any(
            found[name].shape != weight.shape for name, weight in expected.items()
        ):
            raise UsageError(
                f"--init {start.path}", "has another tower", "give a vgg or bimodal network"
            )
        network.sound.load_state_dict(found)


def _load(plan: Plan, network: Siamese) -> tuple[PairedTracks, NDArray[np.bool_]]:
    """Load the vectors of all tracks, and tell which of them have words: (n_tracks,)."""
    data = plan.dataset
    model = TrainedSiamese(network, torch.device(plan.settings.device))
    sounds: list[NDArray[np.float32]] = []
    words: list[Features] = []
    with data.stored.open() as batches:
        for sound, lyrics in batches.iterate(np.arange(len(data.row_ids))):
            sounds.append(model.pool_sound(sound))
            words.append(lyrics.reshape(len(lyrics), -1).astype(np.float32))
    of_sound, of_lyrics = (
        duration_weighted_means(np.concatenate(parts), data.groups, _weights(data))
        for parts in (sounds, words)
    )
    songs = Songs(
        data.units,
        number_equal([row.tobytes() for row in of_lyrics]),
        _quadrants_of(data) if plan.settings.recipe["negatives"] != RANDOM else data.units[:0],
    )
    device = plan.settings.device
    sound_vectors, word_vectors = (
        torch.tensor(part, device=device).float() for part in (of_sound, of_lyrics)
    )
    has_words: NDArray[np.bool_] = np.asarray(of_lyrics.any(axis=1))
    return PairedTracks(sound_vectors, word_vectors, songs), has_words


def _weights(data: Dataset) -> NDArray[np.float64]:
    """Weigh segments by their durations; features of whole tracks have none."""
    return data.durations if data.durations.any() else np.ones(len(data.durations))


def _quadrants_of(data: Dataset) -> NDArray[np.int64]:
    """Give the quadrant of each track, by its class or by its valence and arousal: (n_tracks,)."""
    if not are_numbers(data.targets):
        return data.labels.y
    names = [target.name for target in data.targets]
    scales = [target.scale for target in data.targets]
    middle = np.array([scale.middle for scale in scales if isinstance(scale, Range)])
    if names != list(AXES):
        raise UsageError(
            "negatives", "are of a quadrant, which the labels do not tell", "use negatives=random"
        )
    valence, arousal = data.labels.numbers.T
    return find_quadrants(valence, arousal, middle).astype(np.int64)


def _take(tracks: PairedTracks, rows: NDArray[np.int64]) -> PairedTracks:
    return PairedTracks(tracks.sound[rows], tracks.lyrics[rows], tracks.songs.take(rows))


Kept = tuple[int, Mapping[str, Any]]
"""The epoch that is best so far, and its weights."""


def _train(
    network: Siamese, learn: PairedTracks, validate: PairedTracks, recipe: Recipe, seed: int
) -> tuple[list[Epoch], Kept]:
    """Train until the validation part's AUC has got no better for some epochs, or for all."""
    (phase,) = recipe.list_phases()
    learnt = [weight for weight in network.parameters() if weight.requires_grad]
    kinds = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}
    optimiser = kinds[phase.optimiser](
        learnt, lr=phase.learning_rate, weight_decay=phase.weight_decay
    )
    generator = np.random.default_rng(seed)
    rows, others = mismatch(validate.songs, seed)
    history: list[Epoch] = []
    best = -math.inf
    kept: Kept = (0, {})
    for number in range(1, phase.epochs + 1):
        network.train()
        loss = _learn(network, optimiser, learn, recipe, generator)
        similarity = _compare(network, validate)
        auc = auc_of(np.diag(similarity), similarity[rows, others])
        history.append(Epoch(number, phase.learning_rate, loss, None, None, None, None, None))
        if auc > best or number == 1:
            best, kept = auc, (number, copy.deepcopy(network.state_dict()))
        stops = str(recipe["stop"]).startswith("validation")
        if stops and number - kept[0] >= int(recipe["patience"]):
            break
    return history, kept


def _learn(
    network: Siamese,
    optimiser: torch.optim.Optimizer,
    learn: PairedTracks,
    recipe: Recipe,
    generator: np.random.Generator,
) -> float:
    """Learn from all pairs once; give the mean loss."""
    negatives = draw_negatives(learn.songs, generator, str(recipe["negatives"]))
    order = generator.permutation(len(negatives))
    total = 0.0
    for batch in np.array_split(order, math.ceil(len(order) / int(recipe["batch_size"]))):
        sound = network.embed_sound(learn.sound[batch])
        lyrics = network.embed_lyrics(learn.lyrics[batch])
        if recipe["loss"] == "infonce":
            loss = info_nce(sound, lyrics, learn.songs.texts[batch], float(recipe["temperature"]))
        else:
            paired = negatives[batch] >= 0
            of_others = network.embed_lyrics(learn.lyrics[negatives[batch][paired]])
            loss = contrastive(sound, lyrics, sound[torch.tensor(paired)], of_others)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        if recipe["clip_norm"]:
            nn.utils.clip_grad_norm_(network.parameters(), float(recipe["clip_norm"]))
        optimiser.step()
        total += loss.item() * len(batch)
    return total / len(order)


def contrastive(sound: Tensor, lyrics: Tensor, of_negatives: Tensor, negatives: Tensor) -> Tensor:
    """Draw matched pairs together, and others to a distance of 1: embeddings (n, size) of length 1.

    R. Hadsell and others, "Dimensionality reduction by learning an invariant mapping", CVPR 2006.
    """
    near = 2 - 2 * (sound * lyrics).sum(dim=1)
    # The root of zero has no gradient.
    squares = (2 - 2 * (of_negatives * negatives).sum(dim=1)).clamp(min=1e-12)
    far = (MARGIN - squares.sqrt()).clamp(min=0).square()
    return torch.cat([near, far]).mean()


def info_nce(
    sound: Tensor, lyrics: Tensor, texts: Sequence[int] | NDArray[np.int64], temperature: float
) -> Tensor:
    """Tell each sound's lyrics among those of the batch, and each lyrics' sound.

    A. van den Oord and others, "Representation learning with contrastive predictive coding", 2018.
    The same words as one's own are no wrong answer.
    """
    logits = sound @ lyrics.T / temperature
    numbers = torch.as_tensor(np.asarray(texts), device=logits.device)
    twins = (numbers[:, None] == numbers) & ~torch.eye(len(numbers), dtype=torch.bool).to(
        logits.device
    )
    logits = logits.masked_fill(twins, -math.inf)
    answers = torch.arange(len(logits), device=logits.device)
    cross_entropy = nn.functional.cross_entropy
    return (cross_entropy(logits, answers) + cross_entropy(logits.T, answers)) / 2


def _compare(network: Siamese, tracks: PairedTracks) -> NDArray[np.float64]:
    """Give the similarity of each sound and each lyrics: (n, n)."""
    network.eval()
    with torch.inference_mode():
        similarity = network.embed_sound(tracks.sound) @ network.embed_lyrics(tracks.lyrics).T
    compared: NDArray[np.float64] = similarity.cpu().double().numpy()
    return compared
