"""The paper's figures: hand-typed samples, and what must hold between its tables."""

import numpy as np
import pytest

from madvae_tf.report import paper, paper_value
from madvae_tf.report.names import CONFUSION_TABLES, POOLED_ATTACK

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
        {"none": 1.3036, "vanilla": 4.8463, "cls": 4.8395, "pd": 4.9489, "combined": 4.739},
        abs=1e-9,
    )
    assert len(paper.AGREEMENT) == 6


def test_the_clean_figure_is_an_accuracy():
    assert paper_value("table1", "none", "none", "accuracy") == 0.9931
    assert paper_value("table1", "none", "none", "agreement") is None
    assert paper_value("table1", "none", "pd", "accuracy") is None


def test_confusion_cells_are_predicted_by_true():
    # Table 2, row "pred 4", column "true 9": the paper's most frequent error; and its mirror.
    assert (
        paper_value("table2", POOLED_ATTACK, "pd", "count", {"true": 9, "predicted": 4}) == 1073.0
    )
    assert paper_value("table2", POOLED_ATTACK, "pd", "count", {"true": 4, "predicted": 9}) == 194.0
    assert (
        paper_value("table8", POOLED_ATTACK, "vanilla", "count", {"true": 0, "predicted": 5})
        == 125.0
    )
    assert (
        paper_value("table9", POOLED_ATTACK, "cls", "count", {"true": 5, "predicted": 9}) == 299.0
    )
    assert (
        paper_value("table10", POOLED_ATTACK, "combined", "count", {"true": 8, "predicted": 3})
        == 497.0
    )


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


def black_box(
    defense, metric="agreement", attack="fgsm", table="table3a", dataset="mnist", **parameters
):
    return paper_value(table, attack, defense, metric, parameters, dataset)


def test_table_3_is_by_substitute():
    assert black_box("none", substitute="A", epsilon=0.3) == 0.0487
    assert black_box("vanilla", substitute="B") == 0.2771
    assert black_box("cls", substitute="C") == 0.5667
    assert black_box("pd", substitute="D") == 0.2725
    assert black_box("combined", substitute="E") == 0.4442
    assert black_box("none", "accuracy", "none", substitute="D") == 0.9812


def test_table_3_adds_up():
    defenses = ("none", "vanilla", "cls", "pd", "combined")
    sums = [sum(line[name] for line in paper.BLACK_BOX.values()) for name in defenses]
    assert sums == pytest.approx([0.1499, 2.0841, 1.8653, 2.3965, 2.2395], abs=1e-9)
    assert sum(paper.SUBSTITUTE_ACCURACY.values()) == pytest.approx(4.9421, abs=1e-9)
    assert list(paper.BLACK_BOX) == list(paper.SUBSTITUTE_ACCURACY) == list("ABCDE")


def test_table_3_stands_beside_its_own_protocol_and_attack_only():
    assert black_box("pd", substitute="A", table="table3b") is None
    assert black_box("pd", substitute="A", table="table3c") is None
    assert black_box("pd", substitute="A", epsilon=0.25) is None
    assert black_box("pd", substitute="A", attack="pgd") is None
    assert black_box("pd", substitute="A", dataset="fashion_mnist") is None
    assert black_box("pd", "accuracy", substitute="A") is None
    assert black_box("pd", "accuracy", "none", substitute="A") is None
    assert black_box("none", "agreement", "none", substitute="A") is None
    assert black_box("pd") is None


def test_table_4_is_defense_vae_and_repeats_table_1():
    assert paper_value("table4", "pgd", "defense_vae", "agreement") == 0.1726
    assert sum(paper.DEFENSE_VAE.values()) == pytest.approx(2.7568, abs=1e-9)
    assert paper_value("table4", "fgsm", "none", "agreement") == 0.1316
    assert paper_value("table4", "none", "none", "accuracy") == 0.9931
    assert paper_value("table4", "fgsm", "defense_vae", "accuracy") is None
    assert paper_value("table4", "fgsm", "vanilla", "agreement") is None
    assert paper_value("table1", "fgsm", "defense_vae", "agreement") is None
    assert paper_value("baselines", "fgsm", "defense_vae", "agreement") is None
