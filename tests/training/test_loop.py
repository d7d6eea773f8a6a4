from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from made_segments import SHAPES, write_segments
from mertools.dataset.segments import SegmentSet, join_segments, open_batches
from mertools.training.fit import Fit, NetworkSettings, Part, Plan, fit_network
from torch import nn

from mertools.errors import MerError
from mertools.models.cnn import Cnn
from mertools.models.network import weights_of
from mertools.training.loop import Course, Epoch, Lesson, cross_entropy, train
from mertools.training.recipes import Parameters
from mertools.training.transfer import frozen_blocks

QUICK = Parameters(max_epochs=5, batch_size=8)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> SegmentSet:
    folder = tmp_path_factory.mktemp("data")
    write_segments(folder)
    joined = join_segments(
        [folder / "features.h5"], str(folder / "labels.csv"), "arousal", ["mel"], "hard"
    )
    return joined.training_set


@pytest.fixture
def lesson(data: SegmentSet) -> Lesson:
    y = data.y[data.groups]
    rows = np.arange(len(y))
    targets = np.eye(3, dtype=np.float32)[y]
    return Lesson(
        open_batches(data.stored, 1), rows[8:], rows[:8], targets, y, np.ones(3, np.float32)
    )


def run(
    lesson: Lesson,
    state: Path,
    parameters: Parameters = QUICK,
    report: Callable[[Epoch], None] = lambda epoch: None,
    network: Cnn | None = None,
) -> tuple[Cnn, Course]:
    torch.set_num_threads(1)
    if network is None:
        torch.manual_seed(0)
        network = Cnn([SHAPES["mel"]], 3)
    frozen = frozen_blocks(network, parameters)
    return network, train(network, frozen, lesson, parameters, 0, state, report)


def test_hard_cross_entropy_is_torchs_weighted_one() -> None:
    logits, y = torch.randn(7, 3), torch.randint(0, 3, (7,))
    weights = torch.tensor([0.5, 1.0, 3.0])
    targets = torch.eye(3)[y] * weights
    ours = cross_entropy(logits, targets) / targets.sum()
    torch.testing.assert_close(ours, nn.functional.cross_entropy(logits, y, weights))


def test_soft_cross_entropy_is_least_at_the_annotators_distribution() -> None:
    Q = torch.tensor([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8]])
    entropy = -(Q * Q.log()).sum()
    torch.testing.assert_close(cross_entropy(Q.log(), Q), entropy)
    assert cross_entropy(Q.log() + 0.3 * torch.randn(2, 3), Q) > entropy


@pytest.mark.parametrize("optimiser", ["adamw", "sgd"])
def test_training_learns_and_keeps_the_best_epoch(
    lesson: Lesson, tmp_path: Path, optimiser: str
) -> None:
    seen: list[tuple[float, dict[str, torch.Tensor]]] = []
    torch.manual_seed(0)
    network = Cnn([SHAPES["mel"]], 3)
    parameters = Parameters(max_epochs=12, batch_size=8, optimiser=optimiser)
    _, course = run(
        lesson,
        tmp_path / "state",
        parameters,
        lambda epoch: seen.append((epoch.validation_loss, weights_of(network))),
        network,
    )
    losses = [loss for loss, _ in seen]
    assert min(losses) < losses[0]
    assert course.best_epoch() == 1 + int(np.argmin(losses))
    for name, weight in weights_of(network).items():
        torch.testing.assert_close(weight, seen[course.best_epoch() - 1][1][name], rtol=0, atol=0)


def test_the_same_seed_gives_the_same_bits(lesson: Lesson, tmp_path: Path) -> None:
    one, course = run(lesson, tmp_path / "one")
    torch.randn(1000)  # whatever chance did before
    other, again = run(lesson, tmp_path / "two")
    assert course.history == again.history
    for name, weight in one.state_dict().items():
        assert torch.equal(weight, other.state_dict()[name]), name


class KilledError(Exception):
    pass


@pytest.mark.parametrize(("optimiser", "learning_rate"), [("adamw", 0.01), ("sgd", 0.1)])
@pytest.mark.parametrize("n_epochs", [1, 6, 11])
def test_a_killed_training_ends_as_if_nothing_had_happened(
    lesson: Lesson, tmp_path: Path, n_epochs: int, optimiser: str, learning_rate: float
) -> None:
    parameters = Parameters(
        learning_rate=learning_rate,
        max_epochs=12,
        batch_size=8,
        optimiser=optimiser,
        plateau_patience=0,
    )
    whole, expected = run(lesson, tmp_path / "whole", parameters)

    def kill(epoch: Epoch) -> None:
        if epoch.epoch == n_epochs:
            raise KilledError

    with pytest.raises(KilledError):
        run(lesson, tmp_path / "state", parameters, kill)
    torch.manual_seed(99)
    other = Cnn([SHAPES["mel"]], 3)  # begun with other weights, which do not matter any more
    resumed, course = run(lesson, tmp_path / "state", parameters, network=other)
    assert course.history == expected.history
    assert len({epoch.learning_rate for epoch in course.history}) > 1
    for name, weight in whole.state_dict().items():
        assert torch.equal(weight, resumed.state_dict()[name]), name


def test_the_learning_rate_falls_as_torch_lets_it(lesson: Lesson, tmp_path: Path) -> None:
    parameters = Parameters(
        learning_rate=0.01, batch_size=8, plateau_patience=0, plateau_factor=0.5, max_epochs=8
    )
    _, course = run(lesson, tmp_path / "state", parameters)
    optimiser = torch.optim.SGD([nn.Parameter(torch.zeros(1))], 0.01)
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimiser, factor=0.5, patience=0)
    expected = []
    for epoch in course.history:
        expected.append(optimiser.param_groups[0]["lr"])
        scheduler.step(epoch.validation_loss)
    assert [epoch.learning_rate for epoch in course.history] == expected
    assert expected[-1] < 0.01


@pytest.mark.parametrize(
    ("losses", "is_over"),
    [
        ([], False),
        ([3, 2, 1, 2], False),
        ([3, 2, 1, 2, 1], True),
        ([3, 1, 2, 0.5], False),
        ([6, 5, 4, 3, 2, 1], True),
    ],
)
def test_training_ends_two_epochs_after_the_best_or_after_six(
    losses: list[float], is_over: bool
) -> None:
    history = [Epoch(i + 1, 0.1, loss, loss, 0, 0) for i, loss in enumerate(losses)]
    parameters = Parameters(patience=2, max_epochs=6)
    assert Course(history, {}, 0.0).is_over(parameters) == is_over


@pytest.mark.parametrize(("scenario", "n_frozen"), [("S0", 0), ("S1", 4), ("S2", 1), ("S4", 3)])
def test_what_is_frozen_stays_to_the_last_bit(
    lesson: Lesson, tmp_path: Path, scenario: str, n_frozen: int
) -> None:
    torch.manual_seed(0)
    network = Cnn([SHAPES["mel"]], 3)
    before = copy.deepcopy(network.state_dict())
    parameters = Parameters(max_epochs=2, batch_size=8, freeze=scenario)
    run(lesson, tmp_path / "state", parameters, network=network)
    changed = {
        name
        for name, weight in network.state_dict().items()
        if not torch.equal(weight, before[name])
    }
    kept = {name for name in before if name.startswith("spectrogram.standardise")}
    for i in range(n_frozen):
        kept |= {name for name in before if name.startswith(f"spectrogram.blocks.{i}.")}
    assert changed == before.keys() - kept


def test_a_loss_beyond_all_numbers_is_told(lesson: Lesson, tmp_path: Path) -> None:
    parameters = Parameters(learning_rate=1e30, optimiser="sgd", batch_size=8)
    with pytest.raises(MerError, match="learning_rate"):
        run(lesson, tmp_path / "state", parameters)


def settings_of(**changes: Any) -> NetworkSettings:
    usual: dict[str, Any] = {
        "model": "cnn",
        "objective": "hard",
        "parameters": QUICK,
        "grid": {},
        "n_folds": 3,
        "seed": 0,
        "device": "cpu",
        "n_threads": 1,
    }
    return NetworkSettings(**{**usual, **changes})


def fit(data: SegmentSet, folder: Path, held_out: int | None, **changes: Any) -> Fit:
    folder.mkdir(exist_ok=True)
    folds = np.arange(len(data.track_ids)) % 3
    return fit_network(Plan(data, settings_of(**changes), folds, folder), Part(0, held_out))


def test_held_out_tracks_teach_nothing(data: SegmentSet, tmp_path: Path) -> None:
    """Not by their labels, which are turned round here, nor by the statistics of the input."""
    expected = fit(data, tmp_path / "a", 1)
    held_out = np.arange(len(data.track_ids)) % 3 == 1
    y = np.where(held_out, (data.y + 1) % 3, data.y)
    other = SegmentSet(**{**vars(data), "y": y, "digest": "other"})
    made = fit(other, tmp_path / "b", 1)
    assert made.history == expected.history
    np.testing.assert_array_equal(made.posteriors, expected.posteriors)


def test_standardisation_is_of_the_part_learnt_from(data: SegmentSet, tmp_path: Path) -> None:
    weights = fit(data, tmp_path, None).weights
    mean = weights["spectrogram.standardise.mean"].numpy()
    everything = open_batches(data.stored, 1).read(np.arange(len(data.row_ids)))[0]
    assert mean.shape == (16, 1)
    assert not np.allclose(mean[:, 0], everything.mean(axis=(0, 2)), atol=1e-3)
    np.testing.assert_allclose(mean[:, 0], everything.mean(axis=(0, 2)), atol=5)


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": 1},
        {"objective": "soft"},
        {"parameters": Parameters(max_epochs=5, batch_size=4)},
    ],
)
def test_what_was_done_otherwise_is_not_taken_for_it(
    data: SegmentSet, tmp_path: Path, changes: dict[str, Any]
) -> None:
    one = fit(data, tmp_path, 0)
    assert fit(data, tmp_path, 0).seconds == one.seconds  # it was not done again
    other = fit(data, tmp_path, 0, **changes)
    assert other.history != one.history
    assert len(list(tmp_path.glob("*.done"))) == 2
