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

from mertools.dataset.segments import Batches
from mertools.errors import MerError
from mertools.models.network import Network, logits_of, to_tensors, weights_of
from mertools.runtime.devices import training_precision
from mertools.runtime.memory import keep_freed_memory
from mertools.training import checkpoint
from mertools.training import distributed as together
from mertools.training.recipes import Parameters
from mertools.training.scores import score

SAVING_SHARE = 0.1
"""Of the time, what saving the state may take; an epoch that takes ten times as long is saved."""

ROWS_AT_ONCE = 64

BATCH_BYTES = 1 << 30
"""No block of a batch is larger, and all are wanted again by the next."""


@dataclass(frozen=True)
class Epoch:
    """What an epoch came to; accuracy and macro F1 are of the validation part's segments."""

    epoch: int
    learning_rate: float
    train_loss: float
    validation_loss: float
    validation_accuracy: float
    validation_macro_f1: float


@dataclass(frozen=True)
class Lesson:
    """What is learnt.

    learn, validate: rows of `batches`; of all rows, targets: (n_rows, n_classes), what the
    posteriors should be, and y: (n_rows,), the class; class_weights: (n_classes,).
    """

    batches: Batches
    learn: NDArray[np.int64]
    validate: NDArray[np.int64]
    targets: NDArray[np.float32]
    y: NDArray[np.int64]
    class_weights: NDArray[np.float32]


@dataclass
class Course:
    """How training went so far."""

    history: list[Epoch]
    best: dict[str, Tensor]
    seconds: float

    def best_epoch(self) -> int:
        """Tell the number of the epoch with the least validation loss, the first of several."""
        return min(self.history, key=lambda epoch: epoch.validation_loss).epoch

    def is_over(self, parameters: Parameters) -> bool:
        """Tell whether there is nothing more to be expected, or allowed."""
        n_epochs = len(self.history)
        if not n_epochs:
            return False
        waited = n_epochs - self.best_epoch()
        return n_epochs >= parameters.max_epochs or waited >= parameters.patience


def train(
    network: Network,
    frozen: Sequence[nn.Module],
    lesson: Lesson,
    parameters: Parameters,
    seed: int,
    state: Path,
    report: Callable[[Epoch], None],
) -> Course:
    """Train a network, on its device; it ends with the weights of the best epoch.

    What training has come to is kept in the file `state`, from which it goes on where that exists,
    to the same end. Several processes train it together where `together` has joined them. On a
    processor the same seed gives the same weights to the last bit, as long as
    torch's number of threads is the same. Raises MerError where the loss is no number at once.
    """
    keep_freed_memory(BATCH_BYTES)
    device = network.classifier.weight.device
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    for block in frozen:
        block.requires_grad_(False)
    optimiser = _make_optimiser(network, parameters)
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimiser, factor=parameters.plateau_factor, patience=parameters.plateau_patience
    )
    course = _resume(state, network, optimiser)
    learner = together.connect(network)
    for epoch in course.history:
        scheduler.step(epoch.validation_loss)
    saved_at, saving_s = -math.inf, 0.0
    while not course.is_over(parameters):
        begun = time.perf_counter()
        number = len(course.history) + 1
        torch.manual_seed(_seed_of(seed, number))
        network.train()
        for block in frozen:
            block.eval()  # their running statistics stay as they are
        learning_rate = optimiser.param_groups[0]["lr"]
        train_loss = _learn(learner, optimiser, lesson, parameters.batch_size, device)
        epoch = together.from_first(
            Epoch(number, learning_rate, train_loss, *_validate(network, lesson))
        )
        if not math.isfinite(epoch.train_loss + epoch.validation_loss):
            if course.history:
                break
            raise MerError(
                f"learning_rate={parameters.learning_rate}",
                "makes the loss grow beyond all numbers",
                "set a lower one",
            )
        course.history.append(epoch)
        scheduler.step(epoch.validation_loss)
        if course.best_epoch() == number:
            course.best = weights_of(network)
        ended = time.perf_counter()
        course.seconds += ended - begun
        if ended - saved_at >= saving_s / SAVING_SHARE:
            _save(state, network, optimiser, course)
            saved_at = time.perf_counter()
            saving_s = saved_at - ended
        report(epoch)
    network.load_state_dict(course.best)
    return course


def _make_optimiser(network: Network, parameters: Parameters) -> torch.optim.Optimizer:
    learnt = [weight for weight in network.parameters() if weight.requires_grad]
    learning_rate, weight_decay = parameters.learning_rate, parameters.weight_decay
    if parameters.optimiser == "sgd":
        momentum = parameters.momentum
        return torch.optim.SGD(learnt, learning_rate, momentum, weight_decay=weight_decay)
    return torch.optim.AdamW(learnt, learning_rate, weight_decay=weight_decay, fused=True)


def _learn(
    network: nn.Module,
    optimiser: torch.optim.Optimizer,
    lesson: Lesson,
    batch_size: int,
    device: torch.device,
) -> float:
    """Learn from all rows once, in any order, and give the mean loss."""
    order = lesson.learn[torch.randperm(len(lesson.learn)).numpy()]
    class_weights = torch.tensor(lesson.class_weights, device=device)
    is_mixed = training_precision(str(device)) == "bfloat16"
    mine = together.share()
    together.part_seeds()  # other rows are to be dropped out otherwise
    total = weights = 0.0
    for rows in np.array_split(order, math.ceil(len(order) / batch_size)):
        with torch.autocast(device.type, torch.bfloat16, enabled=is_mixed):
            logits = network(*to_tensors(lesson.batches.read(rows[mine]), device)).float()
        targets = torch.tensor(lesson.targets[rows], device=device) * class_weights
        loss, weight = cross_entropy(logits, targets[mine]), targets.sum()
        optimiser.zero_grad()
        # Gradients are averaged over processes, and should be added up.
        (together.count() * loss / weight).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        total += loss.item()
        weights += weight.item()
    return together.add_up(total) / weights


def cross_entropy(logits: Tensor, weighted_targets: Tensor) -> Tensor:
    """Sum the cross entropy over rows: both (n, n_classes), the targets times their weights."""
    return -(weighted_targets * logits.log_softmax(dim=1)).sum()


def _validate(network: Network, lesson: Lesson) -> tuple[float, float, float]:
    """Give the loss, accuracy and macro F1 of the rows kept for validation."""
    rows = lesson.validate
    logits = predict_rows(network, lesson.batches, rows)
    targets = torch.tensor(lesson.targets[rows] * lesson.class_weights).double()
    loss = cross_entropy(logits, targets) / targets.sum()
    scores = score(lesson.y[rows], logits.softmax(dim=1).numpy())
    return loss.item(), scores["accuracy"], scores["macro_f1"]


def predict_rows(network: Network, batches: Batches, rows: NDArray[np.int64]) -> Tensor:
    """Give the logits of some rows: (n_rows, n_classes) float64 on the processor."""
    logits = torch.empty((len(rows), network.classifier.out_features), dtype=torch.float64)
    for begin in range(0, len(rows), ROWS_AT_ONCE):
        some = slice(begin, begin + ROWS_AT_ONCE)
        logits[some] = logits_of(network, batches.read(rows[some]))
    return logits


def _seed_of(seed: int, epoch: int) -> int:
    """Derive the seed of an epoch's own random numbers."""
    return int.from_bytes(
        hashlib.blake2b(f"{seed} {epoch}".encode(), digest_size=7).digest(), "big"
    )


def _save(path: Path, network: Network, optimiser: torch.optim.Optimizer, course: Course) -> None:
    of_optimiser = {
        f"{place}.{name}": tensor.contiguous()
        for place, tensors in optimiser.state_dict()["state"].items()
        for name, tensor in tensors.items()
    }
    history = [dataclasses.asdict(epoch) for epoch in course.history]
    tensors = {"network": weights_of(network), "best": course.best, "optimiser": of_optimiser}
    checkpoint.save(path, {"history": history, "seconds": course.seconds}, tensors)


def _resume(path: Path, network: Network, optimiser: torch.optim.Optimizer) -> Course:
    saved = together.from_first(checkpoint.load(path))
    if saved is None:
        return Course([], {}, 0.0)
    content, tensors = saved
    network.load_state_dict(tensors["network"])
    states: dict[int, dict[str, Tensor]] = {}
    learnt = optimiser.param_groups[0]["params"]
    for key, tensor in tensors.get("optimiser", {}).items():
        place, _, name = key.partition(".")
        weight = learnt[int(place)]
        if tensor.shape == weight.shape:  # what belongs to a weight lies in memory as it does
            tensor = torch.empty_like(weight).copy_(tensor)
        states.setdefault(int(place), {})[name] = tensor
    optimiser.load_state_dict({**optimiser.state_dict(), "state": states})
    history = [Epoch(**epoch) for epoch in content["history"]]
    return Course(history, tensors["best"], content["seconds"])
