"""A purifier behind which nothing is right is said to be one, whatever else the figures say."""

import numpy as np

from madvae_tf.api.figures import advice
from madvae_tf.evaluation.tables import share


def figures(clean, aware):
    """Of 100 images so many right."""
    cells = {
        name: share(np.arange(100) < count) for name, count in (("clean", clean), ("aware", aware))
    }
    return {"defense": cells}


def test_near_chance_comes_before_everything_else():
    for clean, aware, words in (
        (
            11,
            5,
            (
                "Without an attack 0.110 of the images are right behind the purifier, with chance"
                " at 0.1"
            ),
        ),
        (95, 5, "use madvae_tf.fit_robust"),
        (95, 60, ""),
        (50, 40, ""),
    ):
        said = advice(figures(clean, aware), "combined")
        assert (words in said) and bool(said) == bool(words)
    assert advice({"not_measured": "why"}, "combined") == ""
