"""The README's table: values of the rows, in their columns."""

import subprocess
import sys

import pytest

from madvae_tf.errors import UserError
from madvae_tf.report.markdown import main, table1_markdown


def row(attack, defense, metric, value, paper=None):
    return {
        **{"table": "table1", "attack": attack, "defense": defense, "metric": metric, "value": value},
        **{
            "ci_low": value - 0.01,
            "ci_high": value + 0.01,
            "n": 1000,
            "paper": paper,
            "threat_model": "oblivious",
        },
    }


def test_every_figure_stands_in_its_column():
    rows = [
        row("none", "none", "accuracy", 0.99, 0.9931),
        row("fgsm", "none", "accuracy", 0.12),
        row("fgsm", "none", "agreement", 0.13, 0.1316),
        row("fgsm", "pd", "accuracy", 0.97),
    ]
    text = table1_markdown({"run": {"dataset": "mnist", "name": "quick", "seed": 0}, "rows": rows})
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()]
    assert lines[0] == ["attack", "n", "No defence", "Proximity and distance"]
    assert lines[2] == ["No attack (clean)", "1000", "**0.9900** 0.9800–1.0000 (paper 0.9931)", "–"]
    assert lines[3][2] == "**0.1200** 0.1100–0.1300 (agreement 0.1300, paper 0.1316)"
    assert lines[3][3] == "**0.9700** 0.9600–0.9800"
    assert "Threat model: oblivious" in text


def test_a_missing_file_is_one_clear_line():
    with pytest.raises(UserError, match=r"expected the path of one results\.json"):
        main(["absent.json"])
    command = [sys.executable, "-m", "madvae_tf.report.markdown", "absent.json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("error: Invalid arguments")
    assert "Traceback" not in done.stderr
