"""The card of a model that was trained: what it learnt from, how, and how well it does."""

from __future__ import annotations

import hashlib
import math
import platform
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from typing import Any

import numpy as np

from mertools.artifacts.model_card import Input, ModelCard
from mertools.dataset.dataset import Dataset, Joined
from mertools.evaluation.overlap import hash_track
from mertools.targets.scale import Classes
from mertools.training.objectives import LOWER_IS_BETTER
from mertools.training.plan import Fit, Plan, Settings
from mertools.training.protocol import Trained, criterion, is_nested
from mertools.training.scores import score_card


def describe_versions(libraries: Iterable[str]) -> dict[str, str]:
    """Say with which versions of Python and of some libraries a model was trained."""
    return {
        "python": platform.python_version(),
        **{library: version(library) for library in libraries},
    }


def describe_inputs(data: Dataset) -> tuple[Input, ...]:
    """Say which kinds of feature a model needs."""
    return tuple(
        Input(kind.name, dict(kind.params), kind.params_digest, kind.shape, kind.level)
        for kind in data.stored.kinds
    )


def describe_training(joined: Joined, n_rows: int) -> dict[str, Any]:
    """Say what was learnt from: digests, tracks and what was left out."""
    data = joined.dataset
    originals = [t for t, c in zip(data.track_ids, data.is_copy, strict=True) if not c]
    of_ids = hashlib.blake2b(
        "\0".join(originals).encode("utf-8", "surrogateescape"), digest_size=16
    )
    if isinstance(data.targets[0].scale, Classes):
        counts = np.bincount(data.labels.y[~data.is_copy], minlength=len(data.classes)).tolist()
        tracks = dict(zip(data.classes, counts, strict=True))
    else:
        tracks = {"all": len(originals)}
    return {
        "digest": data.digest,
        "n_rows": n_rows,
        "n_tracks": len(originals),
        "tracks": tracks,
        "tracks_digest": of_ids.hexdigest(),
        # Hashes and not names: a card may travel further than its corpus' names should.
        "track_hashes": "".join(sorted(map(hash_track, originals))),
        "split": "all but test" if joined.n_test else "all",
        "left_out": {
            "test": joined.n_test,
            "disagreement": joined.n_dropped,
            "without_features": joined.n_without_features,
        },
    }


def make_card(plan: Plan, joined: Joined, trained: Trained, licence: str | None) -> ModelCard:
    """Say what the model of all tracks is, how it was made and how well it does."""
    settings, data = plan.settings, plan.dataset
    final = trained.final[0]
    chosen = trained.results[trained.chosen] if trained.results else None
    vectors = plan.vectors.dataset if plan.vectors is not None else data
    originals = vectors.rows_of(~data.is_copy)
    training = {
        **describe_training(joined, len(originals)),
        "n_copies": len(vectors.row_ids) - len(originals),
        "objective": settings.objective,
        **_describe_network(settings, final),
    }
    scores = score_card(
        chosen.levels if chosen else (),
        [[fit.point for fit in fits] for fits in chosen.fits] if chosen and chosen.levels else [],
    )
    if not settings.n_folds and final.validation:
        scores["validation"] = _summarise_validation(trained.final)
    return ModelCard(
        architecture=settings.architecture.name,
        targets=data.targets if settings.architecture.has_targets else (),
        inputs=describe_inputs(data),
        sample_rate=int(data.stored.kinds[0].params.get("sample_rate", 1)),
        cutting=joined.cutting,
        unit=plan.vectors.unit if plan.vectors is not None else "segment",
        columns=data.columns,
        standardisation=_describe_standardisation(settings),
        form=final.form,
        training=training,
        seed=settings.seed,
        search={
            "n_folds": settings.n_folds,
            "n_repeats": settings.n_repeats,
            "method": settings.space.method,
            "nested": is_nested(plan),
            "criterion": _describe_criterion(plan),
            "grid": settings.space.describe(),
            "chosen": dict(final.point),
            **_describe_selection(settings),
            **_describe_oversampling(settings),
        },
        scores=scores,
        versions=describe_versions(_libraries(settings)),
        pool=settings.pool,
        licence=licence,
        peak_db=joined.peak_db,
    )


def _describe_network(settings: Settings, final: Fit) -> dict[str, Any]:
    if not settings.architecture.is_network:
        return {}
    from mertools.runtime.devices import training_precision
    from mertools.training import distributed

    recipe = settings.recipe.replaced(final.point)
    starts = [start.describe() for start in settings.starts]
    return {
        "parameters": recipe.describe(),
        **({"init": starts[0] if len(starts) == 1 else {"models": starts}} if starts else {}),
        "epochs": len(final.history),
        "best_epoch": final.kept_epoch,
        "device": settings.device,
        "precision": training_precision(settings.device),
        "n_threads": settings.n_threads,
        "n_processes": distributed.count(),
    }


def _summarise_validation(fits: Sequence[Fit]) -> dict[str, dict[str, float]]:
    """Give mean and standard deviation of the validation part's scores over trainings."""
    return {
        name: {
            "mean": float(np.mean([fit.validation[name] for fit in fits])),
            "std": float(np.std([fit.validation[name] for fit in fits], ddof=1))
            if len(fits) > 1
            else 0.0,
        }
        for name in fits[0].validation
        if not np.isnan([fit.validation.get(name, math.nan) for fit in fits]).any()
    }


def _describe_standardisation(settings: Settings) -> str:
    module = settings.architecture.load_module()
    if not settings.architecture.is_network:
        return str(module.STANDARDISATION)
    form = settings.recipe.form
    if form.get("standardise") == "no":
        return "none"
    found = getattr(module, "STANDARDISATION", "none")
    return str(found if isinstance(found, str) else found[form["variant"]])


def _describe_criterion(plan: Plan) -> str:
    if plan.settings.architecture.is_network:
        name = criterion(plan.settings)
    else:
        from mertools.training.estimators import criterion_of

        name = criterion_of(plan)
    return f"{'least' if name in LOWER_IS_BETTER else 'most'} {name} of tracks"


def _describe_oversampling(settings: Settings) -> dict[str, Any]:
    if settings.oversample is None:
        return {}
    wanted = settings.oversample
    return {
        "oversample": {
            "method": wanted.method,
            "n_rows": wanted.n_of_class or "as the largest class",
            "within": "the part learnt from",
        }
    }


def _describe_selection(settings: Settings) -> dict[str, Any]:
    if settings.select is None:
        return {}
    chosen = settings.select
    return {
        "select": {
            "method": chosen.method,
            "n_columns": chosen.n_columns,
            "max_correlation": chosen.max_correlation,
            "within": "the part learnt from",
        }
    }


def _libraries(settings: Settings) -> tuple[str, ...]:
    if settings.architecture.is_network:
        from mertools.training.networks import LIBRARIES

        return LIBRARIES
    libraries: tuple[str, ...] = settings.architecture.load_module().LIBRARIES
    return libraries
