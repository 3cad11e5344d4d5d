"""The training figure: what was logged is drawn, validation as points, and titles have room."""

import itertools
import math

from matplotlib.backends.backend_agg import FigureCanvasAgg

from madvae_tf.report.training import training_curves


def test_every_panel_of_the_training_figure_shows_something_and_no_title_is_cut():
    """A log's rows lack what was not measured at their step: validation comes once an epoch,
    between two of them.
    """
    training = {
        "pd": {
            "step": [20, 40, 40, 60],
            "loss": [3.0, 2.0, None, 1.0],
            "val_loss": [None, None, 2.5, None],
            "val_accuracy": [None, None, 0.9, None],
            "epsilon": [None, math.nan, None, None],
        },
        "robust": {
            "step": [20, 40, 60],
            "attacked_accuracy": [0.2, None, 0.4],
            "class_kl": [1.0, 2.0, None],
            "val_attacked_distance_l2": [None, None, 5.0],
        },
    }
    figure = training_curves(training)
    FigureCanvasAgg(figure).draw()
    panels = {
        axes.get_title().replace("\n", " "): axes for axes in figure.axes if axes.get_visible()
    }
    points = {
        title: [line.get_xydata().tolist() for line in axes.lines] for title, axes in panels.items()
    }
    assert points == {
        "total loss": [[[20, 3], [40, 2], [60, 1]], [[40, 2.5]]],
        "accuracy under the step’s attack": [[[20, 0.2], [60, 0.4]]],
        "KL divergence to the class’s Gaussian": [[[20, 1], [40, 2]]],
        "accuracy on purified images": [[[40, 0.9]]],
        "L2 distance of purified attacked from clean images": [[[60, 5]]],
    }
    boxes = [axes.title.get_window_extent() for axes in panels.values()]
    assert all(figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1 for box in boxes)
    # Nor do the titles of two panels beside each other meet.
    assert not any(one.overlaps(other) for one, other in itertools.combinations(boxes, 2))
