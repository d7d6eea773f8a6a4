"""Remedies that errors name."""

from __future__ import annotations

from mertools.errors import MOST_CHOICES, choose_from


def test_of_thousands_of_names_the_nearest_and_the_first_are_listed() -> None:
    names = [f"column_{n}" for n in range(5000)]
    remedy = choose_from(names, "colunm_4321")
    assert remedy.startswith("did you mean column_4321? choose from column_0, column_1, ")
    assert remedy.endswith(f"column_{MOST_CHOICES - 1} and {5000 - MOST_CHOICES} more")
    assert choose_from(["a", "b"], "x") == "choose from a, b"
