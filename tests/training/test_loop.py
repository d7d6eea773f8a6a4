from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from made_segments import SHAPES, write_numbers, write_segments
from mertools.dataset.dataset import Dataset
from mertools.dataset.join import Request, join
from mertools.errors import MerError
from mertools.models.cnn import Cnn
from mertools.models.network import copy_weights
from mertools.models.registry import find_architecture
from mertools.training.loop import Epoch, Run, TrainingRows, sum_losses, train
from mertools.training.networks import fit_network
from mertools.training.objectives import RowTargets, row_targets
from mertools.training.plan import Fit, Plan, Settings, Task
from mertools.training.recipes import Recipe, usual_recipe
from mertools.training.search import SearchSpace
from mertools.training.transfer import frozen_modules

CNN = find_architecture("cnn")


def recipe(*phases: dict[str, Any], **values: Any) -> Recipe:
    usual = usual_recipe(CNN).replaced({"max_epochs": 5, "batch_size": 8, **values})
    return dataclasses.replace(usual, phases=phases)


def read(folder: Path, target: str) -> Dataset:
    paths = (folder / "features.h5",)
    return join(Request(paths, str(folder / "labels.csv"), (target,), ("mel",))).dataset


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("data")
    write_segments(folder, kinds=("mel",))
    return read(folder, "arousal")


@pytest.fixture(scope="module")
def numbers(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("numbers")
    write_numbers(folder, kinds=("mel",))
    return read(folder, "valence")


def lay_out(data: Dataset, objective: Any) -> TrainingRows:
    rows = np.arange(len(data.row_ids))
    targets = row_targets(data, objective, rows[8:], "none")
    return TrainingRows(data.stored.load(), rows[8:], rows[:8], targets)


@pytest.fixture
def training_rows(data: Dataset) -> TrainingRows:
    return lay_out(data, "hard")


def run(
    rows: TrainingRows,
    state: Path,
    chosen: Recipe | None = None,
    report: Callable[[Epoch], None] = lambda epoch: None,
    network: Cnn | None = None,
) -> tuple[Cnn, Run]:
    torch.set_num_threads(1)
    chosen = chosen or recipe()
    if network is None:
        torch.manual_seed(0)
        network = Cnn([SHAPES["mel"]], rows.targets.outputs.shape[1])
    frozen = frozen_modules(network, chosen)
    return network, train(network, frozen, rows, chosen, 0, state, report)


def targets_of(objective: Any) -> RowTargets:
    nothing = np.zeros((0, 3), np.float32)
    return RowTargets(objective, nothing, np.zeros(0, np.int64), np.ones(3, np.float32))


def test_hard_cross_entropy_is_torchs_weighted_one() -> None:
    logits, y = torch.randn(7, 3), torch.randint(0, 3, (7,))
    weights = torch.tensor([0.5, 1.0, 3.0])
    targets = torch.eye(3)[y] * weights
    ours = sum_losses(targets_of("hard"), logits, targets) / targets.sum()
    torch.testing.assert_close(ours, nn.functional.cross_entropy(logits, y, weights))


def test_soft_cross_entropy_is_least_at_the_annotators_distribution() -> None:
    Q = torch.tensor([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8]])
    entropy = -(Q * Q.log()).sum()
    soft = targets_of("soft")
    torch.testing.assert_close(sum_losses(soft, Q.log(), Q), entropy)
    assert sum_losses(soft, Q.log() + 0.3 * torch.randn(2, 3), Q) > entropy


def test_losses_of_numbers_are_torchs(numbers: Dataset) -> None:
    outputs, targets = torch.randn(7, 2), torch.rand(7, 2)
    for objective, loss in (("mse", nn.functional.mse_loss), ("mae", nn.functional.l1_loss)):
        ours = sum_losses(targets_of(objective), outputs, targets) / targets.numel()
        torch.testing.assert_close(ours, loss(outputs, targets))
    of_rows = row_targets(numbers, "mse", np.arange(3), "balanced").outputs
    values = numbers.labels.numbers[numbers.groups]
    np.testing.assert_allclose(of_rows, (values - 1) / 8, atol=1e-6)


def test_hard_classes_weigh_by_their_inverse_frequency(data: Dataset) -> None:
    learn = np.arange(20)
    weights = row_targets(data, "hard", learn, "balanced").output_weights
    counts = np.bincount(data.labels.y[data.groups[learn]])
    np.testing.assert_allclose(weights, 20 / 3 / counts, rtol=1e-6)
    for alike in (
        row_targets(data, "hard", learn, "none"),
        row_targets(data, "soft", learn, "balanced"),
    ):
        assert alike.output_weights.tolist() == [1, 1, 1]


@pytest.mark.parametrize("optimiser", ["adamw", "sgd"])
def test_training_learns_and_keeps_the_best_epoch(
    training_rows: TrainingRows, tmp_path: Path, optimiser: str
) -> None:
    seen: list[tuple[float, dict[str, torch.Tensor]]] = []
    torch.manual_seed(0)
    network = Cnn([SHAPES["mel"]], 3)
    chosen = recipe(max_epochs=12, batch_size=8, optimiser=optimiser)
    _, done = run(
        training_rows,
        tmp_path / "state",
        chosen,
        lambda epoch: seen.append((epoch.validation_loss, copy_weights(network))),
        network,
    )
    losses = [loss for loss, _ in seen]
    assert min(losses) < losses[0]
    assert done.kept_epoch(chosen) == 1 + int(np.argmin(losses))
    for name, weight in copy_weights(network).items():
        torch.testing.assert_close(
            weight, seen[done.kept_epoch(chosen) - 1][1][name], rtol=0, atol=0
        )


def test_the_same_seed_gives_the_same_bits(training_rows: TrainingRows, tmp_path: Path) -> None:
    one, done = run(training_rows, tmp_path / "one")
    torch.randn(1000)  # whatever chance did before
    other, again = run(training_rows, tmp_path / "two")
    assert done.history == again.history
    for name, weight in one.state_dict().items():
        assert torch.equal(weight, other.state_dict()[name]), name


class KilledError(Exception):
    pass


@pytest.mark.parametrize(("optimiser", "learning_rate"), [("adamw", 0.01), ("sgd", 0.1)])
@pytest.mark.parametrize("n_epochs", [1, 6, 11])
def test_a_killed_training_ends_as_if_nothing_had_happened(
    training_rows: TrainingRows, tmp_path: Path, n_epochs: int, optimiser: str, learning_rate: float
) -> None:
    chosen = recipe(
        learning_rate=learning_rate,
        max_epochs=12,
        batch_size=8,
        optimiser=optimiser,
        plateau_patience=0,
    )
    whole, expected = run(training_rows, tmp_path / "whole", chosen)

    def kill(epoch: Epoch) -> None:
        if epoch.epoch == n_epochs:
            raise KilledError

    with pytest.raises(KilledError):
        run(training_rows, tmp_path / "state", chosen, kill)
    torch.manual_seed(99)
    other = Cnn([SHAPES["mel"]], 3)  # begun with other weights, which do not matter any more
    resumed, done = run(training_rows, tmp_path / "state", chosen, network=other)
    assert done.history == expected.history
    assert len({epoch.learning_rate for epoch in done.history}) > 1
    for name, weight in whole.state_dict().items():
        assert torch.equal(weight, resumed.state_dict()[name]), name


ADAM_THEN_SGD = (
    {"optimiser": "adam", "learning_rate": 0.002, "epochs": 3},
    {"optimiser": "sgd", "learning_rate": 0.01, "momentum": 0.5, "epochs": 3},
)
ADAM_TWICE = (
    {"optimiser": "adam", "learning_rate": 0.002, "epochs": 3},
    {"optimiser": "adam", "learning_rate": 0.001, "epochs": 3},
)


@pytest.mark.parametrize("phases", [ADAM_THEN_SGD, ADAM_TWICE], ids=["other", "same"])
@pytest.mark.parametrize("n_epochs", [2, 3, 4])
def test_a_training_killed_in_any_phase_ends_as_if_nothing_had_happened(
    training_rows: TrainingRows, tmp_path: Path, phases: tuple[dict[str, Any], ...], n_epochs: int
) -> None:
    """At the end of a phase, too, where the next one begins with an optimiser of its own."""
    chosen = recipe(*phases, max_epochs=100, stop="epochs")
    whole, expected = run(training_rows, tmp_path / "whole", chosen)
    rates = [phase["learning_rate"] for phase in phases for _ in range(3)]
    assert [epoch.learning_rate for epoch in expected.history] == rates
    assert expected.kept_epoch(chosen) == 6

    def kill(epoch: Epoch) -> None:
        if epoch.epoch == n_epochs:
            raise KilledError

    with pytest.raises(KilledError):
        run(training_rows, tmp_path / "state", chosen, kill)
    resumed, done = run(training_rows, tmp_path / "state", chosen)
    assert done.history == expected.history
    for name, weight in whole.state_dict().items():
        assert torch.equal(weight, resumed.state_dict()[name]), name


def test_a_phase_begins_with_a_new_optimiser(training_rows: TrainingRows, tmp_path: Path) -> None:
    still = {"optimiser": "adam", "learning_rate": 1e-30, "epochs": 1}
    step = {"optimiser": "adam", "learning_rate": 0.002, "epochs": 1}
    chosen = recipe(still, step, stop="epochs", weight_decay=0, batch_size=1000)
    torch.manual_seed(0)
    network = Cnn([SHAPES["mel"]], 3)
    before = network.classifier.bias.detach().clone()
    run(training_rows, tmp_path / "state", chosen, network=network)
    # Adam's first step is as long as the rate; one that goes on would be shorter.
    moved = (network.classifier.bias.detach() - before).abs()
    torch.testing.assert_close(moved, torch.full((3,), 0.002), rtol=1e-3, atol=0)


def test_phases_have_no_more_epochs_than_all_together_may(
    training_rows: TrainingRows, tmp_path: Path
) -> None:
    chosen = recipe(*ADAM_THEN_SGD, max_epochs=4, stop="epochs")
    _, done = run(training_rows, tmp_path / "state", chosen)
    assert [epoch.learning_rate for epoch in done.history] == [0.002] * 3 + [0.01]


def test_training_ends_at_a_training_accuracy(training_rows: TrainingRows, tmp_path: Path) -> None:
    chosen = recipe(stop="training_accuracy", stop_accuracy=0.8, max_epochs=60, learning_rate=0.003)
    _, done = run(training_rows, tmp_path / "state", chosen)
    accuracies = [epoch.train_accuracy or 0.0 for epoch in done.history]
    assert len(accuracies) < 60
    assert accuracies[-1] >= 0.8 > max(accuracies[:-1])
    assert done.kept_epoch(chosen) == len(accuracies)


def test_the_best_validation_accuracy_is_kept(training_rows: TrainingRows, tmp_path: Path) -> None:
    chosen = recipe(stop="validation_accuracy", patience=3, max_epochs=20)
    _, done = run(training_rows, tmp_path / "state", chosen)
    accuracies = [epoch.validation_accuracy or 0.0 for epoch in done.history]
    assert done.kept_epoch(chosen) == 1 + int(np.argmax(accuracies))
    assert len(accuracies) == min(20, done.kept_epoch(chosen) + 3)


@pytest.mark.parametrize("objective", ["mse", "mae"])
def test_numbers_are_learnt_and_scored_by_r2(
    numbers: Dataset, tmp_path: Path, objective: Any
) -> None:
    chosen = recipe(stop="validation_accuracy", max_epochs=15, batch_size=16)
    _, done = run(lay_out(numbers, objective), tmp_path / "state", chosen)
    assert {epoch.train_accuracy for epoch in done.history} == {None}
    assert {epoch.validation_accuracy for epoch in done.history} == {None}
    r2 = [epoch.validation_r2 or 0.0 for epoch in done.history]
    assert done.kept_epoch(chosen) == 1 + int(np.argmax(r2))
    assert done.history[-1].train_loss < done.history[0].train_loss


def test_gradients_are_clipped(training_rows: TrainingRows, tmp_path: Path) -> None:
    """A step of SGD without momentum is then as long as the norm and the rate allow."""
    chosen = recipe(
        optimiser="sgd", learning_rate=0.1, momentum=0, weight_decay=0, batch_size=1000,
        clip_norm=0.01, max_epochs=1, stop="epochs",
    )  # fmt: skip
    torch.manual_seed(0)
    network = Cnn([SHAPES["mel"]], 3)
    before = {name: weight.detach().clone() for name, weight in network.named_parameters()}
    run(training_rows, tmp_path / "state", chosen, network=network)
    squares = [
        (weight - before[name]).square().sum() for name, weight in network.named_parameters()
    ]
    assert torch.stack(squares).sum().sqrt().item() == pytest.approx(0.1 * 0.01, rel=1e-3)


@pytest.mark.parametrize("values", [{"schedule": "none"}, {"stop": "epochs"}])
def test_without_a_schedule_the_learning_rate_stays(
    training_rows: TrainingRows, tmp_path: Path, values: dict[str, Any]
) -> None:
    chosen = recipe(learning_rate=0.01, plateau_patience=0, max_epochs=8, **values)
    _, done = run(training_rows, tmp_path / "state", chosen)
    losses = [epoch.validation_loss or 0.0 for epoch in done.history]
    assert losses != sorted(losses, reverse=True)  # a schedule would have something to do
    assert {epoch.learning_rate for epoch in done.history} == {0.01}


def test_the_learning_rate_falls_as_torch_lets_it(
    training_rows: TrainingRows, tmp_path: Path
) -> None:
    chosen = recipe(
        learning_rate=0.01, batch_size=8, plateau_patience=0, plateau_factor=0.5, max_epochs=8
    )
    _, done = run(training_rows, tmp_path / "state", chosen)
    optimiser = torch.optim.SGD([nn.Parameter(torch.zeros(1))], 0.01)
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimiser, factor=0.5, patience=0)
    expected = []
    for epoch in done.history:
        expected.append(optimiser.param_groups[0]["lr"])
        scheduler.step(epoch.validation_loss)
    assert [epoch.learning_rate for epoch in done.history] == expected
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
    history = [Epoch(i + 1, 0.1, loss, 0.5, loss, 0, 0, None) for i, loss in enumerate(losses)]
    chosen = recipe(patience=2, max_epochs=6)
    assert Run(history, {}, 0.0).is_over(chosen, 6) == is_over


@pytest.mark.parametrize(("scenario", "n_frozen"), [("S0", 0), ("S1", 4), ("S2", 1), ("S4", 3)])
def test_what_is_frozen_stays_to_the_last_bit(
    training_rows: TrainingRows, tmp_path: Path, scenario: str, n_frozen: int
) -> None:
    torch.manual_seed(0)
    network = Cnn([SHAPES["mel"]], 3)
    before = copy.deepcopy(network.state_dict())
    chosen = recipe(max_epochs=2, batch_size=8, freeze=scenario)
    run(training_rows, tmp_path / "state", chosen, network=network)
    changed = {
        name
        for name, weight in network.state_dict().items()
        if not torch.equal(weight, before[name])
    }
    kept = {name for name in before if name.startswith("spectrogram.standardise")}
    for i in range(n_frozen):
        kept |= {name for name in before if name.startswith(f"spectrogram.blocks.{i}.")}
    assert changed == before.keys() - kept


def test_a_loss_beyond_all_numbers_is_told(training_rows: TrainingRows, tmp_path: Path) -> None:
    chosen = recipe(learning_rate=1e30, optimiser="sgd", batch_size=8)
    with pytest.raises(MerError, match="learning_rate"):
        run(training_rows, tmp_path / "state", chosen)


def fit(data: Dataset, folder: Path, held_out: int | None, **changes: Any) -> Fit:
    folder.mkdir(exist_ok=True)
    usual: dict[str, Any] = {
        "architecture": CNN,
        "objective": "hard",
        "recipe": recipe(),
        "space": SearchSpace("none", {}, {}, 1, 0),
        "n_folds": 3,
        "n_repeats": 1,
        "seed": 0,
        "pool": "mean",
    }
    folds = np.arange(len(data.track_ids)) % 3
    settings = Settings(**{**usual, **changes})
    return fit_network(Plan(data, settings, (folds,), folder=folder), Task(None, 0, held_out))


def test_held_out_tracks_teach_nothing(data: Dataset, tmp_path: Path) -> None:
    """Not by their labels, which are turned round here, nor by the statistics of the input."""
    expected = fit(data, tmp_path / "a", 1)
    held_out = np.arange(len(data.track_ids)) % 3 == 1
    y = np.where(held_out, (data.labels.y + 1) % 3, data.labels.y)
    labels = dataclasses.replace(data.labels, y=y)
    other = dataclasses.replace(data, labels=labels, digest="other")
    made = fit(other, tmp_path / "b", 1)
    assert made.history == expected.history
    np.testing.assert_array_equal(made.outputs, expected.outputs)


def test_standardisation_is_of_the_part_learnt_from(data: Dataset, tmp_path: Path) -> None:
    mean = fit(data, tmp_path, None).arrays["spectrogram.standardise.mean"]
    everything = data.stored.load().read(np.arange(len(data.row_ids)))[0]
    assert mean.shape == (16, 1)
    assert not np.allclose(mean[:, 0], everything.mean(axis=(0, 2)), atol=1e-3)
    np.testing.assert_allclose(mean[:, 0], everything.mean(axis=(0, 2)), atol=5)


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": 1},
        {"objective": "soft"},
        {"recipe": recipe(batch_size=4)},
        {"recipe": recipe({"optimiser": "sgd", "epochs": 5})},
        {"recipe": recipe(clip_norm=0.01)},
    ],
)
def test_what_was_done_otherwise_is_not_taken_for_it(
    data: Dataset, tmp_path: Path, changes: dict[str, Any]
) -> None:
    one = fit(data, tmp_path, 0)
    assert fit(data, tmp_path, 0).seconds == one.seconds  # it was not done again
    other = fit(data, tmp_path, 0, **changes)
    assert other.history != one.history
    assert len(list(tmp_path.glob("*.done"))) == 2
