"""The paper's figures: hand-typed samples, and what must hold between its tables."""

import numpy as np
import pytest

from madvae_tf.report import paper, paper_value
from madvae_tf.report.schema import CONFUSION_TABLES, POOLED_ATTACK

# How often each digit occurs in the 10,000 test images of MNIST.
TEST_IMAGES = (980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009)


@pytest.mark.parametrize(
    ("attack", "defense", "value"),
    [
        ("fgsm", "none", 0.1316),
        ("fgsm", "pd", 0.7413),
        ("rand_fgsm", "cls", 0.7833),
        ("cw", "vanilla", 0.9567),
        ("mi_fgsm", "combined", 0.5879),
        ("pgd", "cls", 0.7485),
        ("single_pixel", "none", 0.9977),
        ("single_pixel", "combined", 0.9928),
    ],
)
def test_table_1_is_agreement_and_not_accuracy(attack, defense, value):
    assert paper_value("table1", attack, defense, "agreement") == value
    assert paper_value("table1", attack, defense, "accuracy") is None


def test_table_1_adds_up():
    # The sums of the printed columns: a slip in any figure shows.
    sums = {
        name: sum(line[name] for line in paper.AGREEMENT.values())
        for name in ("none", *CONFUSION_TABLES.values())
    }
    assert sums == pytest.approx(
        {"none": 1.3036, "vanilla": 4.8463, "cls": 4.8395, "pd": 4.9489, "combined": 4.739}, abs=1e-9
    )
    assert len(paper.AGREEMENT) == 6


def test_the_clean_figure_is_an_accuracy():
    assert paper_value("table1", "none", "none", "accuracy") == 0.9931
    assert paper_value("table1", "none", "none", "agreement") is None
    assert paper_value("table1", "none", "pd", "accuracy") is None


def test_confusion_cells_are_predicted_by_true():
    # Table 2, row "pred 4", column "true 9": the paper's most frequent error; and its mirror.
    assert paper_value("table2", POOLED_ATTACK, "pd", "count", {"true": 9, "predicted": 4}) == 1073.0
    assert paper_value("table2", POOLED_ATTACK, "pd", "count", {"true": 4, "predicted": 9}) == 194.0
    assert paper_value("table8", POOLED_ATTACK, "vanilla", "count", {"true": 0, "predicted": 5}) == 125.0
    assert paper_value("table9", POOLED_ATTACK, "cls", "count", {"true": 5, "predicted": 9}) == 299.0
    assert paper_value("table10", POOLED_ATTACK, "combined", "count", {"true": 8, "predicted": 3}) == 497.0


@pytest.mark.parametrize("defense", CONFUSION_TABLES.values())
def test_columns_give_the_printed_accuracy_and_count_three_test_sets(defense):
    counts = np.array(paper.CONFUSION[defense])
    assert counts.shape == (10, 10)
    assert counts.sum(axis=0).tolist() == [3 * size for size in TEST_IMAGES]
    assert np.round(np.diag(counts) / counts.sum(axis=0), 2).tolist() == list(
        paper.PER_CLASS_ACCURACY[defense]
    )


def test_where_the_paper_has_no_figure():
    cell = {"true": 0, "predicted": 0}
    assert paper_value("table1", "fgsm", "pd", "agreement", dataset="fashion_mnist") is None
    assert paper_value("table2", POOLED_ATTACK, "cls", "count", cell) is None
    assert paper_value("table2", "fgsm", "pd", "count", cell) is None
    assert paper_value("table2", POOLED_ATTACK, "pd", "count") is None
    assert paper_value("validation", "fgsm", "pd", "accuracy") is None
