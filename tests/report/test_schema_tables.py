"""What each table of the further experiments asks of its rows."""

import pytest

from madvae_tf.report import validate_rows
from madvae_tf.utils.errors import UserError

CLUSTER = {"of": "latent", "labels": "predicted", "space": "umap", "k": 10}
NO_INTERVAL = {"ci_low": None, "ci_high": None}
GOOD = {
    "table3a": {"parameters": {"epsilon": 0.3, "substitute": "A"}},
    "table3b": {
        "parameters": {"substitute": "E"},
        "threat_model": "transfer",
        "metric": "agreement",
    },
    "table3c": {
        "parameters": {"substitute": "C", "queries": 4800},
        "metric": "substitute_agreement",
    },
    "table4": {"defense": "defense_vae", "metric": "agreement"},
    "baselines": {"defense": "magnet", "metric": "detection_rate"},
    "clusters": {"parameters": CLUSTER, "metric": "silhouette", "value": -0.3, **NO_INTERVAL},
    "reference": {"parameters": {"setting": "ours", "difference": "None.", "epsilon": 0.3}},
    "robustness": {
        "parameters": {"norm": "l2", "epsilon": 2.0},
        "attack": "apgd_t",
        "threat_model": "end_to_end",
    },
    "time": {
        "parameters": {"batch": 256},
        "metric": "ms_per_image",
        "value": 1520.4,
        **NO_INTERVAL,
    },
}
BAD = [
    ("table3a", "parameters", {"epsilon": 0.3}, "'substitute' to be one of: A, B, C, D, E"),
    ("table3c", "parameters", {"substitute": "F"}, "'substitute' to be one of"),
    ("table3b", "parameters", {"substitute": ["A"]}, "'substitute' to be one of"),
    ("table3a", "metric", "success_rate", "one of: accuracy, agreement"),
    ("baselines", "metric", "silhouette", "accuracy, agreement, detection_rate, safe_rate"),
    ("table4", "defense", "defense_vea", "Did you mean 'defense_vae'?"),
    (
        "clusters",
        "parameters",
        {**CLUSTER, "of": "input"},
        "'of' to be one of: test, adversarial, output, latent",
    ),
    (
        "clusters",
        "parameters",
        {**CLUSTER, "labels": "true"},
        "'labels' to be one of: label, predicted",
    ),
    ("clusters", "parameters", {**CLUSTER, "space": "pca"}, "'space' to be one of: features, umap"),
    ("clusters", "value", -1.01, "a finite number in [-1, 1]"),
    ("reference", "parameters", {"setting": "ours"}, "'difference' to be a non-empty string"),
    (
        "reference",
        "parameters",
        {"setting": " ", "difference": "x"},
        "'setting' to be a non-empty string",
    ),
    ("robustness", "parameters", {"norm": "l1", "epsilon": 2.0}, "'norm' to be one of: linf, l2"),
    ("robustness", "parameters", {"norm": "l2"}, "'epsilon' to be a number >= 0"),
    (
        "robustness",
        "metric",
        "agreement",
        (
            "accuracy, restart_share, zero_gradient_share, faint_gradient_share, other_sign_share,"
            " beyond_gradients_share"
        ),
    ),
    ("time", "parameters", {"batch": 0}, "'batch' to be an integer >= 1"),
    ("time", "parameters", {"batch": True}, "'batch' to be an integer >= 1"),
    ("time", "value", -0.1, "a finite number >= 0"),
]


@pytest.mark.parametrize("table", GOOD)
def test_a_good_row_of_each_table(row, table):
    validate_rows([row(table=table, **GOOD[table])])


@pytest.mark.parametrize(("table", "field", "value", "expected"), BAD)
def test_a_bad_row_is_named(row, table, field, value, expected):
    with pytest.raises(UserError) as caught:
        validate_rows([row(table=table, **{**GOOD[table], field: value})])
    message = str(caught.value)
    assert "row 0" in message and repr(field) in message and expected in message
    assert "\n" not in message


def test_purity_needs_k_and_is_a_share(row):
    good = {"table": "clusters", "metric": "knn_purity", "value": 0.4, **NO_INTERVAL}
    without_k = {name: value for name, value in CLUSTER.items() if name != "k"}
    validate_rows(
        [
            row(**good, parameters=CLUSTER),
            row(**GOOD["clusters"] | {"parameters": without_k}, table="clusters"),
        ]
    )
    with pytest.raises(UserError, match="'k' to be an integer >= 1"):
        validate_rows([row(**good, parameters=without_k)])
    with pytest.raises(UserError, match=r"in \[0, 1\]"):
        validate_rows([row(**{**good, "value": -0.01}, parameters=CLUSTER)])
