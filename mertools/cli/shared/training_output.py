"""What `mer train` writes, and says to a person."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from mertools.artifacts.files import is_replaced, open_output
from mertools.artifacts.model_file import write_model
from mertools.artifacts.rows import History, Prediction, Row
from mertools.artifacts.tables import write_table
from mertools.cli.shared.console import (
    complain,
    count,
    print_table,
    say,
)
from mertools.dataset.dataset import Joined
from mertools.errors import UsageError
from mertools.prediction.rows import make_predictions
from mertools.training.card import make_card
from mertools.training.plan import Plan
from mertools.training.protocol import PointResult, Trained, criterion, is_nested
from mertools.training.scores import GUESS_OF_CLASSES, GUESS_OF_NUMBERS, pool_tracks, summarise
from mertools.training.search import format_point
from mertools.training.tables import history_rows

R = TypeVar("R", bound=Row)

SHOWN_SCORES = (
    *("macro_f1", "accuracy"),
    *("r2", "pearson_r", "ccc", "rmse", "mae"),
)
"""Scores that are shown to a person; the card has all."""


@dataclass(frozen=True)
class Outputs:
    """The files to write; those that are not asked for are None. And the model's licence."""

    model: str | None
    predictions: str | None
    cv_table: str | None
    history: str | None
    licence: str | None

    def check(self, n_folds: int, *, refit: bool) -> Path:
        """Give the file beside which unfinished work is saved.

        Raises UsageError for what cannot be written.
        """
        if refit and self.model is None:
            raise UsageError("--output", "is missing", "name the model, or give --no-refit")
        if not n_folds:
            if not refit:
                raise UsageError("--cv 0", "leaves nothing to score", "give --cv 5")
            for option, name in (("predictions", self.predictions), ("cv-table", self.cv_table)):
                if name is not None:
                    raise UsageError(f"--{option} {name}", "needs folds", "give --cv 5")
        names = (self.model, self.cv_table, self.predictions, self.history)
        files = [name for name in names if name is not None and is_replaced(name)]
        if not files and self.model is None:
            raise UsageError("--no-refit", "leaves nothing to write", "give --cv-table FILE")
        return Path(files[0] if files else str(self.model))


def list_epochs(
    plan: Plan, results: Sequence[PointResult], trained: Trained | None = None
) -> Iterator[History]:
    """Yield the rows of history.csv: of the points so far, and of the model once it is trained."""
    for number, result in enumerate(results, start=1):
        for repeat, fits in enumerate(result.fits):
            for fold, fit in enumerate(fits):
                if plan.settings.n_folds:
                    yield from history_rows(number, repeat, fold, fit)
                # Without folds, the chosen point's trainings are the final ones, listed below.
                elif trained is None or number != trained.chosen + 1:
                    yield from history_rows(number, fold, None, fit)
    if trained is not None:
        for repeat, fit in enumerate(trained.final):
            yield from history_rows(trained.chosen + 1, repeat, None, fit)


def write_predictions(plan: Plan, trained: Trained, file: str) -> None:
    """Write cross-validation's predictions, each by a model that did not learn from the track."""
    result, n_repeats = trained.results[trained.chosen], plan.settings.n_repeats
    rows = [
        row
        for repeat in range(n_repeats)
        for row in _prediction_rows(plan, result, repeat, numbered=n_repeats > 1)
    ]
    optional = ["fold", "repeat"] if n_repeats > 1 else ["fold"]
    n_classes = len(plan.dataset.classes)
    with open_output(file) as stream:
        write_table(stream, Prediction, rows, n_classes, optional)


def _prediction_rows(
    plan: Plan, result: PointResult, repeat: int, *, numbered: bool
) -> Iterator[Prediction]:
    """Yield a repetition's predictions: of tracks, then of segments where these are the rows."""
    data = plan.vectors.dataset if plan.vectors is not None else plan.dataset
    folds, outputs = plan.folds[repeat], result.outputs[repeat]
    number = repeat + 1 if numbered else None
    ends = data.starts + data.durations
    of_tracks = pool_tracks(data, outputs, plan.settings.pool)
    for track, track_id in enumerate(data.track_ids):
        # Tracks in no fold were never held out, and copies are not scored.
        if folds[track] < 0 or data.is_copy[track]:
            continue
        rows = data.groups == track
        start = float(data.starts[rows].min())
        yield from make_predictions(
            data.targets,
            track_id,
            None,
            start,
            float(ends[rows].max()) - start,
            of_tracks[track],
            repeat=number,
            fold=int(folds[track]) + 1,
        )
    if plan.vectors is not None and plan.vectors.unit == "track":
        return
    for row, segment_id in enumerate(data.row_ids):
        track = int(data.groups[row])
        if folds[track] < 0 or data.is_copy[track]:
            continue
        yield from make_predictions(
            data.targets,
            data.track_ids[track],
            segment_id,
            float(data.starts[row]),
            float(data.durations[row]),
            outputs[row],
            repeat=number,
            fold=int(folds[track]) + 1,
        )


def write_trained(
    plan: Plan, joined: Joined, trained: Trained, file: str, licence: str | None
) -> None:
    """Write the model of all tracks, and say how its training went."""
    card = make_card(plan, joined, trained, licence)
    final = trained.final[0]
    write_model(Path(file), card, final.arrays, plan.settings.architecture.suffix)
    if final.history:
        last = final.history[final.kept_epoch - 1]
        shown = {
            "training loss": last.train_loss,
            "validation loss": last.validation_loss,
            "macro F1": last.validation_macro_f1,
            "R2": last.validation_r2,
        }
        scores = ", ".join(
            f"{name} {value:.3f}" for name, value in shown.items() if value is not None
        )
        say(f"{file}: epoch {final.kept_epoch} of {len(final.history)}, {scores}")


def rewrite(
    target: str | None, row_type: type[R], rows: Sequence[R], *, at_end: bool = False
) -> None:
    """Write a table anew, as far as it is known; to a stream only in the end."""
    if target is not None and (at_end or is_replaced(target)):
        with open_output(target) as stream:
            write_table(stream, row_type, rows)


def last_line(path: Path) -> str:
    """Read the last line that a training has written."""
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    return lines[-1] if lines else ""


def report_joined(joined: Joined) -> None:
    """Say how many tracks there are to learn from."""
    data = joined.dataset
    copies = f"{joined.n_copies} copies beside, " if joined.n_copies else ""
    marked = int((data.labels.is_validation & ~data.is_copy).sum())
    validation = f"{marked} of them for validation, " if marked else ""
    names = ",".join(target.name for target in data.targets)
    say(
        f"{names}: {count(joined.n_train, 'track')} to learn from; {copies}{validation}"
        f"{joined.n_test} kept for testing, {joined.n_dropped} dropped for disagreement, "
        f"{joined.n_without_features} without features"
    )


def report_notes(trained: Trained) -> None:
    """Say what in trainings became otherwise than asked for, and in how many of them."""
    fits = [fit for result in trained.results for of in result.fits for fit in of]
    # Without folds the chosen point's trainings are the final ones.
    fits += [fit for fit in trained.final if not any(fit is other for other in fits)]
    for note, n in Counter(note for fit in fits for note in fit.notes).items():
        complain(f"{note} ({n} of {len(fits)} trainings)")


def report_scores(plan: Plan, trained: Trained) -> None:
    """Draw tables of cross-validation's scores for a person."""
    settings, data = plan.settings, plan.dataset
    names = ",".join(target.name for target in data.targets)
    if len(trained.results) > 1:
        _report_points(plan, trained, names)
    if not trained.results or not trained.results[trained.chosen].levels:
        return
    result = trained.results[trained.chosen]
    point = result.point or (trained.final[0].point if trained.final else {})
    chosen = format_point(point) if settings.space.n_points > 1 else ""
    repeats = f"{settings.n_repeats} x " if settings.n_repeats > 1 else ""
    title = f"{names}: {repeats}{settings.n_folds} folds; {chosen}".rstrip("; ")
    if not is_nested(plan):
        title += " (chosen by these folds, so they flatter it)"
    guess = GUESS_OF_CLASSES if data.classes else GUESS_OF_NUMBERS
    rows = [
        [
            f"{level}, {score.replace('_', ' ')}",
            f"{of['mean']:.3f} ± {of['std']:.3f}",
            f"{of['pooled']:.3f}",
            f"{of[guess]:.3f}" if guess in of else "",
        ]
        for level, scores in summarise(result.levels).items()
        for score, of in scores.items()
        if score in SHOWN_SCORES
    ]
    guess_name = "majority class" if data.classes else "mean number"
    print_table(title, ["", "folds", "pooled", guess_name], rows)


def _report_points(plan: Plan, trained: Trained, names: str) -> None:
    name = criterion(plan.settings).replace("_", " ")
    of = "validation" if not plan.settings.n_folds else "tracks"
    rows = [
        [format_point(result.point), f"{result.value:.3f}", "chosen" * (k == trained.chosen)]
        for k, result in enumerate(trained.results)
    ]
    print_table(f"{names}: points of the search", ["point", f"{name} of {of}", ""], rows)
