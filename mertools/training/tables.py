"""The tables that training writes: scores of each fold, and epochs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from mertools.artifacts.rows import CrossValidation, History
from mertools.targets.scale import TARGET_SEPARATOR
from mertools.training.plan import Fit, Plan
from mertools.training.protocol import PointResult
from mertools.training.search import format_point


def cv_rows(plan: Plan, results: Sequence[PointResult]) -> Iterator[CrossValidation]:
    """Yield the rows of the table of cross-validation."""
    data, name = plan.dataset, plan.settings.architecture.name
    target = TARGET_SEPARATOR.join(target.name for target in data.targets)
    for number, result in enumerate(results, start=1):
        for repeat, levels in enumerate(result.levels, start=1):
            for level, outcomes in levels.items():
                for fold, scores in enumerate(outcomes.score_folds(), start=1):
                    point = result.fits[repeat - 1][fold - 1].point
                    for score, value in scores.items():
                        yield CrossValidation(
                            name,
                            target,
                            number,
                            format_point(point),
                            repeat,
                            fold,
                            level,
                            score,
                            None if math.isnan(value) else value,
                        )


def history_rows(number: int, repeat: int, fold: int | None, fit: Fit) -> Iterator[History]:
    """Yield the rows of a training's history; `number` is the point's, from 1."""
    for epoch in fit.history:
        yield History(
            number,
            None if fold is None else fold + 1,
            epoch.epoch,
            epoch.learning_rate,
            epoch.train_loss,
            epoch.validation_loss,
            epoch.validation_accuracy,
            epoch.validation_macro_f1,
            epoch.epoch == fit.kept_epoch,
            repeat + 1,
            epoch.train_accuracy,
            epoch.validation_r2,
        )
