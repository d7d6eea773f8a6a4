"""The one loop that trains networks."""

from __future__ import annotations

import dataclasses
import hashlib
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mertools.dataset.stored import Batches
from mertools.errors import MerError
from mertools.evaluation.metrics import score_labels, score_numbers
from mertools.models.network import Network, compute_outputs, copy_weights, to_tensors
from mertools.models.registry import ENCODER_RATE
from mertools.runtime.devices import training_precision
from mertools.runtime.memory import keep_freed_memory
from mertools.training import checkpoint, distributed
from mertools.training.objectives import RowTargets
from mertools.training.recipes import Phase, Recipe

SAVING_SHARE = 0.1
"""Of the time, what saving the state may take; an epoch that takes ten times as long is saved."""

BATCH_BYTES = 1 << 30
"""Blocks of memory up to this size are kept for the next batch, which needs them again."""

PREDICTED_TOGETHER = 64


@dataclass(frozen=True)
class Epoch:
    """What an epoch came to. Scores of the validation part's segments are None where it is empty.

    Accuracy and macro F1 are of classes, R2 of numbers.
    """

    epoch: int
    learning_rate: float
    train_loss: float
    train_accuracy: float | None
    validation_loss: float | None
    validation_accuracy: float | None
    validation_macro_f1: float | None
    validation_r2: float | None


@dataclass(frozen=True)
class TrainingRows:
    """Rows to learn from and to validate on, (n,) each, of features in `batches`."""

    batches: Batches
    learn: NDArray[np.int64]
    validate: NDArray[np.int64]
    targets: RowTargets


@dataclass
class Run:
    """How far a training is: its epochs, the weights to keep, and the time it took."""

    history: list[Epoch]
    kept: dict[str, Tensor]
    seconds: float

    def kept_epoch(self, recipe: Recipe) -> int:
        """Give the number of the epoch whose weights are kept: the best, or else the last."""
        if not recipe.needs_validation:
            return len(self.history)
        badness = _badness_of(recipe)
        return min(self.history, key=badness).epoch

    def is_over(self, recipe: Recipe, n_epochs: int) -> bool:
        """Return whether training has come to its end."""
        done = len(self.history)
        if not done:
            return False
        if done >= n_epochs:
            return True
        if recipe["stop"] == "training_accuracy":
            return (self.history[-1].train_accuracy or 0.0) >= float(recipe["stop_accuracy"])
        waited = done - self.kept_epoch(recipe)
        return recipe.needs_validation and waited >= int(recipe["patience"])


def _badness_of(recipe: Recipe) -> Callable[[Epoch], float]:
    """Give what is least at the best epoch; of several, the first one counts."""
    if recipe["stop"] == "validation_loss":
        return lambda epoch: math.inf if epoch.validation_loss is None else epoch.validation_loss
    return lambda epoch: -(epoch.validation_accuracy or epoch.validation_r2 or 0.0)


def train(
    network: Network,
    frozen: Sequence[nn.Module],
    rows: TrainingRows,
    recipe: Recipe,
    seed: int,
    state: Path,
    report: Callable[[Epoch], None],
) -> Run:
    """Train a network, on its device; it ends with the weights of the epoch to keep.

    Progress is saved in the file `state`, from which an interrupted training goes on, to the same
    end. Several processes train it together where `distributed` has joined them. On a processor the
    same seed gives the same weights to the last bit, as long as torch's number of threads is the
    same. Raises MerError where the loss is not finite in the first epoch.
    """
    keep_freed_memory(BATCH_BYTES)
    device = network.classifier.weight.device
    # Convolutions on processors are twice as fast with the channels last.
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    for module in frozen:
        module.requires_grad_(False)
    phases = recipe.list_phases()
    n_epochs = sum(phase.epochs for phase in phases)
    saved = distributed.from_first(checkpoint.load(state))
    run = _restore_run(saved, network)
    optimiser, scheduler = _begin_phase(network, recipe, phases, run, saved)
    learner = distributed.connect(network)
    saved_at, saving_s = -math.inf, 0.0
    while not run.is_over(recipe, n_epochs):
        begun = time.perf_counter()
        number = len(run.history) + 1
        if number > 1 and _phase_at(phases, number) is not _phase_at(phases, number - 1):
            optimiser, scheduler = _begin_phase(network, recipe, phases, run, None)
        # An epoch of its own seed draws the same after an interrupt, without states to save.
        torch.manual_seed(_seed_of(seed, number))
        network.train()
        for module in frozen:
            module.eval()  # a frozen batch normalisation keeps its running statistics
        learning_rate = optimiser.param_groups[0]["lr"]
        learnt = _learn(learner, optimiser, rows, recipe, device)
        epoch = distributed.from_first(
            Epoch(number, learning_rate, *learnt, *_validate(network, rows))
        )
        if not math.isfinite(epoch.train_loss + (epoch.validation_loss or 0.0)):
            # The weights of an earlier epoch are still good; without any there is nothing to keep.
            if run.history:
                break
            raise MerError(
                f"learning_rate={learning_rate}",
                "makes the loss grow beyond all numbers",
                "set a lower one",
            )
        run.history.append(epoch)
        if scheduler is not None and epoch.validation_loss is not None:
            scheduler.step(epoch.validation_loss)
        if run.kept_epoch(recipe) == number:
            run.kept = copy_weights(network)
        ended = time.perf_counter()
        run.seconds += ended - begun
        # Short epochs are not all saved: writing a large state would take longer than they do.
        if ended - saved_at >= saving_s / SAVING_SHARE:
            _save(state, network, optimiser, run)
            saved_at = time.perf_counter()
            saving_s = saved_at - ended
        report(epoch)
    network.load_state_dict(run.kept)
    return run


def _phase_at(phases: Sequence[Phase], number: int) -> Phase:
    """Give the phase that an epoch is in; epochs count from 1, and the last phase has no end."""
    for phase in phases[:-1]:
        if number <= phase.epochs:
            return phase
        number -= phase.epochs
    return phases[-1]


Scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau


def _begin_phase(
    network: Network,
    recipe: Recipe,
    phases: Sequence[Phase],
    run: Run,
    saved: checkpoint.Saved | None,
) -> tuple[torch.optim.Optimizer, Scheduler | None]:
    """Make the optimiser and the schedule of the phase that the next epoch is in.

    `saved` is what an interrupted training had come to, whose schedule is played again.
    """
    phase = _phase_at(phases, len(run.history) + 1)
    optimiser = _make_optimiser(network, phase, recipe)
    if saved is not None:
        _restore_optimiser(optimiser, saved)
    if recipe["schedule"] == "none" or not recipe.needs_validation:
        return optimiser, None
    scheduler = Scheduler(
        optimiser, factor=recipe["plateau_factor"], patience=recipe["plateau_patience"]
    )
    # The schedule has no state that is saved: it follows from the losses so far.
    for epoch in run.history if saved is not None else ():
        if _phase_at(phases, epoch.epoch) is phase and epoch.validation_loss is not None:
            scheduler.step(epoch.validation_loss)
    return optimiser, scheduler


def _make_optimiser(network: Network, phase: Phase, recipe: Recipe) -> torch.optim.Optimizer:
    rate, decay = phase.learning_rate, phase.weight_decay
    pretrained = {id(w) for branch in network.branches.values() for w in branch.pretrained()}
    # Weight decay would move frozen weights, too.
    weights = [weight for weight in network.parameters() if weight.requires_grad]
    learnt = [{"params": [weight for weight in weights if id(weight) not in pretrained]}]
    if pretrained:
        slowly = [weight for weight in weights if id(weight) in pretrained]
        learnt.append({"params": slowly, "lr": recipe[ENCODER_RATE]})
    if phase.optimiser == "sgd":
        return torch.optim.SGD(
            learnt, rate, phase.momentum, weight_decay=decay, nesterov=phase.nesterov
        )
    kind = torch.optim.Adam if phase.optimiser == "adam" else torch.optim.AdamW
    return kind(learnt, rate, weight_decay=decay, fused=True)


def _learn(
    network: nn.Module,
    optimiser: torch.optim.Optimizer,
    rows: TrainingRows,
    recipe: Recipe,
    device: torch.device,
) -> tuple[float, float | None]:
    """Learn from all rows once, in any order; give the mean loss and, of classes, the accuracy."""
    order = rows.learn[torch.randperm(len(rows.learn)).numpy()]
    output_weights = torch.tensor(rows.targets.output_weights, device=device)
    is_mixed = training_precision(str(device)) == "bfloat16"
    has_classes = rows.targets.objective in ("hard", "soft")
    mine = distributed.share()
    distributed.part_seeds()  # each process draws its own dropout
    total = weights = n_right = 0.0
    # Batches of nearly equal size: a last one of a single row could not be normalised.
    for batch in np.array_split(order, math.ceil(len(order) / recipe["batch_size"])):
        with torch.autocast(device.type, torch.bfloat16, enabled=is_mixed):
            outputs = network(*to_tensors(rows.batches.read(batch[mine]), device)).float()
        targets = torch.tensor(rows.targets.outputs[batch], device=device) * output_weights
        loss = sum_losses(rows.targets, outputs, targets[mine])
        # Of all processes' rows, so that their shares of the loss add up to the batch's.
        weight = count_weight(rows.targets, targets)
        optimiser.zero_grad()
        # Gradients are averaged over processes, and should be added up.
        (distributed.count() * loss / weight).backward()  # type: ignore[no-untyped-call]
        if recipe["clip_norm"]:
            nn.utils.clip_grad_norm_(network.parameters(), recipe["clip_norm"])
        optimiser.step()
        # Sums and not means, as batches differ in their weights.
        total += loss.item()
        weights += float(weight)
        if has_classes:
            right = outputs.detach().argmax(dim=1).cpu().numpy() == rows.targets.y[batch[mine]]
            n_right += float(right.sum())
    accuracy = distributed.add_up(n_right) / len(order) if has_classes else None
    return distributed.add_up(total) / weights, accuracy


def sum_losses(targets: RowTargets, outputs: Tensor, weighted: Tensor) -> Tensor:
    """Sum the loss over rows: outputs and targets times their weights, both (n, n_outputs).

    Cross entropy for classes; for numbers squared or absolute errors, summed over the outputs, too.
    """
    if targets.objective == "mse":
        return (outputs - weighted).square().sum()
    if targets.objective == "mae":
        return (outputs - weighted).abs().sum()
    return -(weighted * outputs.log_softmax(dim=1)).sum()


def count_weight(targets: RowTargets, weighted: Tensor) -> Tensor | int:
    """Give what a sum of losses is divided by: the weights of classes, or the count of numbers."""
    return weighted.numel() if targets.objective in ("mse", "mae") else weighted.sum()


def _validate(
    network: Network, rows: TrainingRows
) -> tuple[float | None, float | None, float | None, float | None]:
    """Give the validation part's loss, accuracy, macro F1 and R2; None for what does not apply."""
    chosen, targets = rows.validate, rows.targets
    if not len(chosen):
        return None, None, None, None
    outputs = predict_rows(network, rows.batches, chosen)
    weighted = torch.tensor(targets.outputs[chosen] * targets.output_weights).double()
    loss = float(sum_losses(targets, outputs, weighted) / count_weight(targets, weighted))
    if targets.objective in ("mse", "mae"):
        reference, estimated = targets.outputs[chosen].astype(np.float64), outputs.numpy()
        each = [
            score_numbers(reference[:, k], estimated[:, k])["r2"] for k in range(outputs.shape[1])
        ]
        r2 = float(np.mean(each))
        return loss, None, None, None if math.isnan(r2) else r2
    scores = score_labels(targets.y[chosen], outputs.argmax(dim=1).numpy(), outputs.shape[1])
    return loss, scores["accuracy"], scores["macro_f1"], None


def predict_rows(network: Network, batches: Batches, rows: NDArray[np.int64]) -> Tensor:
    """Give the outputs of some rows: (n_rows, n_outputs) float64 on the processor."""
    outputs = torch.empty((len(rows), network.classifier.out_features), dtype=torch.float64)
    for begin in range(0, len(rows), PREDICTED_TOGETHER):
        some = slice(begin, begin + PREDICTED_TOGETHER)
        outputs[some] = compute_outputs(network, batches.read(rows[some]))
    return outputs


def _seed_of(seed: int, epoch: int) -> int:
    """Derive the seed of an epoch's own random numbers."""
    return int.from_bytes(
        hashlib.blake2b(f"{seed} {epoch}".encode(), digest_size=7).digest(), "big"
    )


def _save(path: Path, network: Network, optimiser: torch.optim.Optimizer, run: Run) -> None:
    of_optimiser = {
        f"{index}.{name}": tensor.contiguous()
        for index, tensors in optimiser.state_dict()["state"].items()
        for name, tensor in tensors.items()
        if tensor is not None
    }
    history = [dataclasses.asdict(epoch) for epoch in run.history]
    tensors = {"network": copy_weights(network), "kept": run.kept, "optimiser": of_optimiser}
    checkpoint.save(path, {"history": history, "seconds": run.seconds}, tensors)


def _restore_run(saved: checkpoint.Saved | None, network: Network) -> Run:
    if saved is None:
        return Run([], {}, 0.0)
    content, tensors = saved
    network.load_state_dict(tensors["network"])
    history = [Epoch(**epoch) for epoch in content["history"]]
    return Run(history, tensors["kept"], content["seconds"])


def _restore_optimiser(optimiser: torch.optim.Optimizer, saved: checkpoint.Saved) -> None:
    states: dict[int, dict[str, Tensor]] = {}
    learnt = [weight for group in optimiser.param_groups for weight in group["params"]]
    for key, tensor in saved[1].get("optimiser", {}).items():
        index, _, name = key.partition(".")
        weight = learnt[int(index)]
        if tensor.shape == weight.shape:  # what belongs to a weight lies in memory as it does
            tensor = torch.empty_like(weight).copy_(tensor)
        states.setdefault(int(index), {})[name] = tensor
    optimiser.load_state_dict({**optimiser.state_dict(), "state": states})
