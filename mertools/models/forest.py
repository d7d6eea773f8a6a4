"""A random forest: posteriors of classes, or a number.

L. Breiman, "Random forests", Machine Learning 45, 2001. scikit-learn grows it, with its defaults
unless parameters say otherwise; the trees are kept as plain arrays, which predict without it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mertools.artifacts.model_card import ModelCard
from mertools.artifacts.model_file import Learnt
from mertools.errors import SchemaError
from mertools.models.model import Model, are_numbers, scale_numbers
from mertools.models.problem import Point, Problem
from mertools.targets.pooling import side_by_side
from mertools.targets.scale import Target

STANDARDISATION = "none"
LIBRARIES = ("numpy", "scikit-learn", "scipy")

LEAF = -1
"""Stands for the children of a node that has none."""
ROWS_AT_ONCE = 256


@dataclass(frozen=True)
class Trees:
    """All trees of a forest, node after node.

    A row goes from a node to its first child where the node's feature is at most its threshold,
    else to its second; children: (n_nodes, 2), features and thresholds: (n_nodes,). values:
    (n_nodes, n_outputs), what a leaf predicts. roots: (n_trees,).
    """

    children: NDArray[np.int32]
    features: NDArray[np.int32]
    thresholds: NDArray[np.float64]
    values: NDArray[np.float64]
    roots: NDArray[np.int32]

    def predict(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        """Give the mean over trees: (n_rows, n_columns) to (n_rows, n_outputs)."""
        outputs = np.empty((len(X), self.values.shape[1]))
        for begin in range(0, len(X), ROWS_AT_ONCE):
            some = X[begin : begin + ROWS_AT_ONCE]
            rows = np.arange(len(some))[:, None]
            nodes = np.tile(self.roots, (len(some), 1))  # (n_rows, n_trees)
            while (inner := self.children[nodes, 0] != LEAF).any():
                at = np.where(inner, self.features[nodes], 0)
                second = some[rows, at] > self.thresholds[nodes]
                nodes = np.where(inner, self.children[nodes, second.astype(np.intp)], nodes)
            outputs[begin : begin + len(some)] = self.values[nodes].mean(axis=1)
        return outputs


@dataclass(frozen=True)
class Forest:
    """A trained forest."""

    targets: tuple[Target, ...]
    trees: Trees

    def predict(self, features: Sequence[NDArray[Any]]) -> NDArray[np.float64]:
        """Predict rows: for each kind (n_rows, ...) to (n_rows, n_outputs)."""
        # scikit-learn compares in single precision, and thresholds are chosen for that.
        outputs = self.trees.predict(side_by_side(features).astype(np.float32))
        return scale_numbers(outputs, self.targets) if are_numbers(self.targets) else outputs

    def arrays(self) -> Mapping[str, NDArray[Any]]:
        """Give all that was learnt, by name."""
        return asdict(self.trees)


def describe_form(problem: Problem, model: Model, point: Point) -> dict[str, Any]:
    """Say what a card says of the model's form."""
    return dict(point)


def fit(problem: Problem, points: Sequence[Point]) -> list[Model]:
    """Grow a forest for each point of a search."""
    X = side_by_side(problem.features).astype(np.float32)
    return [
        Forest((problem.target,), _collect(grow(problem, X, point), problem)) for point in points
    ]


def try_points(
    problem: Problem, points: Sequence[Point], features: Sequence[NDArray[Any]]
) -> list[NDArray[np.float64]]:
    """Give what a forest of each point predicts of other rows: (n, n_outputs) each."""
    return [model.predict(features) for model in fit(problem, points)]


def grow(problem: Problem, X: NDArray[np.float32], point: Point) -> Any:
    """Grow scikit-learn's forest of rows: (n_rows, n_columns)."""
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

    share = float(point["max_features"])
    settings: dict[str, Any] = {
        "n_estimators": int(point["n_estimators"]),
        "random_state": int(point["random_state"]),
        **({"max_features": share} if share else {}),
    }
    if are_numbers([problem.target]):
        error = "absolute_error" if problem.objective == "mae" else "squared_error"
        return RandomForestRegressor(criterion=error, **settings).fit(X, problem.numbers)
    return RandomForestClassifier(**settings).fit(X, problem.y)


def _collect(forest: Any, problem: Problem) -> Trees:
    """Put the trees of scikit-learn's forest one behind the other."""
    numbers = are_numbers([problem.target])
    # A class without rows in this part has no column of its own there.
    classes = np.array([0]) if numbers else forest.classes_
    children, features, thresholds, values, roots = [], [], [], [], []
    n_nodes = 0
    for grown in forest.estimators_:
        tree = grown.tree_
        pairs = np.stack([tree.children_left, tree.children_right], axis=1)
        children.append(np.where(pairs == LEAF, LEAF, pairs + n_nodes))
        features.append(np.maximum(tree.feature, 0))
        thresholds.append(tree.threshold)
        counts = tree.value[:, 0, :]
        of_tree = np.zeros((tree.node_count, 1 if numbers else problem.target.scale.n_outputs))
        of_tree[:, classes] = counts if numbers else counts / counts.sum(axis=1, keepdims=True)
        values.append(of_tree)
        roots.append(n_nodes)
        n_nodes += tree.node_count
    return Trees(
        np.concatenate(children).astype(np.int32),
        np.concatenate(features).astype(np.int32),
        np.concatenate(thresholds).astype(np.float64),
        np.concatenate(values),
        np.array(roots, np.int32),
    )


def restore(path: Path, card: ModelCard, learnt: Learnt) -> Forest:
    """Make a model's file, as `model_file.read_model` gives it, into a model that predicts.

    Raises SchemaError where its arrays do not fit each other and the card.
    """
    try:
        trees = Trees(**{name: np.asarray(array) for name, array in learnt.items()})
        n_columns = sum(int(np.prod(needed.shape)) for needed in card.inputs)
        _check(trees, n_columns, card.n_outputs)
    except (IndexError, TypeError, ValueError) as error:
        raise SchemaError(
            path,
            f"holds no forest as mer train forest makes it ({error})",
            "train the model again",
        ) from None
    return Forest(card.targets, trees)


def _check(trees: Trees, n_columns: int, n_outputs: int) -> None:
    """Raise ValueError where trees lead nowhere, or are of other columns or outputs."""
    n_nodes = len(trees.children)
    shapes = {
        "children": (n_nodes, 2),
        "features": (n_nodes,),
        "thresholds": (n_nodes,),
        "values": (n_nodes, n_outputs),
        "roots": (len(trees.roots),),
    }
    for name, shape in shapes.items():
        array = getattr(trees, name)
        if array.shape != shape or array.dtype.kind != ("f" if name[0] in "tv" else "i"):
            raise ValueError(f"{name} has shape {array.shape} and type {array.dtype.name}")
    # Children that come after their parent lead to a leaf at last.
    later = trees.children > np.arange(n_nodes)[:, None]
    leaf = trees.children == LEAF
    if not (n_nodes and len(trees.roots)) or trees.children.max() >= n_nodes:
        raise ValueError("nodes are missing")
    if not (later | leaf).all() or (leaf[:, 0] != leaf[:, 1]).any():
        raise ValueError("nodes lead back")
    if not 0 <= trees.roots.min() <= trees.roots.max() < n_nodes:
        raise ValueError("a root is missing")
    if not 0 <= trees.features.min() <= trees.features.max() < n_columns:
        raise ValueError("a column is missing")
    if not (np.isfinite(trees.thresholds).all() and np.isfinite(trees.values).all()):
        raise ValueError("a value is not finite")
