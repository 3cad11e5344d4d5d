"""Every violation of the schema is refused in one line that names the row and the field."""

import math

import numpy as np
import pytest

from madvae_tf.report import validate_rows
from madvae_tf.report.names import FIELDS
from madvae_tf.utils.errors import UserError

VIOLATIONS = [
    ("table", "table7", "Unknown table 'table7'"),
    ("table", None, "expected a name"),
    ("dataset", "", "expected a name"),
    ("attack", "fsgm", "Did you mean 'fgsm'?"),
    ("threat_model", "white_box", "oblivious, transfer, end_to_end"),
    ("defense", "classification", "none, vanilla, cls, pd, combined"),
    ("metric", "count", "expected one of: accuracy, agreement"),
    ("parameters", [0.3], "expected a dict"),
    ("parameters", {1: 2}, "string keys"),
    ("parameters", {"epsilon": math.nan}, "finite JSON"),
    ("parameters", {"epsilon": np.float32(0.3)}, "JSON"),
    ("value", 1.0001, "expected a finite number in [0, 1]"),
    ("value", -0.1, "in [0, 1]"),
    ("value", math.nan, "in [0, 1]"),
    ("value", None, "in [0, 1]"),
    ("value", True, "in [0, 1]"),
    ("value", np.float32(0.5), "in [0, 1]"),
    ("ci_low", 0.975, "contains the value 0.97"),
    ("ci_low", "0.9", "or null"),
    ("ci_high", None, "both ends"),
    ("ci_high", math.inf, "or null"),
    ("n", 0, "expected an integer >= 1"),
    ("n", 1000.0, "expected an integer >= 1"),
    ("seed", None, "expected an integer"),
    ("paper", 97.1, "in [0, 1]"),
]


@pytest.mark.parametrize(("field", "value", "expected"), VIOLATIONS)
def test_a_bad_field_is_named(row, field, value, expected):
    with pytest.raises(UserError) as caught:
        validate_rows([row(), row(**{"seed": 1, field: value})])
    message = str(caught.value)
    assert "row 1" in message and repr(field) in message and expected in message
    assert "\n" not in message


def test_a_field_missing_or_too_many_is_named(row):
    for field in FIELDS:
        short = row()
        del short[field]
        with pytest.raises(UserError, match=f"row 0: field '{field}' is missing"):
            validate_rows([short])
    with pytest.raises(UserError, match="unknown field 'note'"):
        validate_rows([row(note="x")])


@pytest.mark.parametrize(
    "cell", [{}, {"true": 3}, {"true": 3, "predicted": 1000}, {"true": 3.0, "predicted": 1}]
)
def test_a_count_needs_its_labels(row, cell):
    bad = row(table="table8", metric="count", value=3, ci_low=None, ci_high=None, parameters=cell)
    with pytest.raises(UserError, match="a label, an integer in 0..999"):
        validate_rows([bad])


def test_a_count_is_an_integer_of_the_tables_own_variant(row):
    good = row(
        table="table8",
        metric="count",
        value=3,
        ci_low=None,
        ci_high=None,
        parameters={"true": 1, "predicted": 2},
    )
    validate_rows([good])
    with pytest.raises(UserError, match="integer >= 0"):
        validate_rows([{**good, "value": 3.0}])
    with pytest.raises(UserError, match="the variant that table8 shows"):
        validate_rows([{**good, "defense": "cls"}])


def test_the_same_measurement_twice_is_refused(row):
    validate_rows([row(), row(seed=1), row(parameters={"epsilon": 0.2})])
    with pytest.raises(UserError, match="other than that of row 0"):
        validate_rows([row(), row(seed=1), row(value=0.965)])


def test_rows_are_a_list_of_dicts(row):
    for rows, message in (
        ("table1", "expected a list"),
        ([3], "expected a dict"),
        (row(), "expected a list"),
    ):
        with pytest.raises(UserError, match=message):
            validate_rows(rows)


def test_an_interval_may_miss_its_value_by_a_rounding_error_only(row):
    validate_rows([row(value=1.0, ci_high=1.0 - 1e-12)])
    with pytest.raises(UserError, match="contains the value"):
        validate_rows([row(value=1.0, ci_high=1.0 - 1e-6)])
