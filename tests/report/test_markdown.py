"""The README's table: values of the rows, in their columns."""

import subprocess
import sys

from madvae_tf.report.markdown import table1_markdown
from madvae_tf.report.markdown_further import further_markdown


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
    command = [sys.executable, "-m", "madvae_tf.report.markdown", "absent.json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].endswith("error: argument results.json: no file 'absent.json'")
    assert "Traceback" not in done.stderr


def further(table, attack, defense, metric, value, parameters, paper=None, threat_model="transfer", n=100):
    return {
        **row(attack, defense, metric, value, paper),
        **{"table": table, "parameters": parameters, "threat_model": threat_model, "n": n, "seed": 3},
    }


def cells(text):
    return [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.splitlines()
        if line.startswith("|")
    ]


def test_black_box_figures_stand_at_their_substitute_with_the_papers():
    rows = [
        further("table3a", "fgsm", "pd", "agreement", 0.9, {"substitute": "B"}, 0.4048, "oblivious"),
        further("table3a", "fgsm", "none", "agreement", 0.1, {"substitute": "A"}, 0.0487, "oblivious"),
        further("table3a", "fgsm", "none", "accuracy", 0.7, {"substitute": "A"}),
        further("table3c", "fgsm", "none", "accuracy", 0.6, {"substitute": "E"}),
        further("table3c", "fgsm", "none", "success_rate", 0.5, {"substitute": "E"}),
    ]
    text = further_markdown({"rows": rows})
    assert cells(text) == [
        ["substitute", "No defence", "Proximity and distance"],
        ["---"] * 3,
        ["A", "0.1000 (0.0487)", "–"],
        ["B", "–", "0.9000 (0.4048)"],
        ["substitute", "No defence"],
        ["---"] * 2,
        ["E", "0.6000"],
    ]
    assert "n = 100, seed 3, threat model: oblivious." in text and "threat model: transfer." in text


def test_a_baseline_says_its_threat_model_and_what_it_refuses():
    rows = [
        further("baselines", "none", "magnet", "accuracy", 0.99, {}, threat_model="oblivious", n=400),
        further("baselines", "fgsm", "magnet", "accuracy", 0.3, {}, threat_model="oblivious"),
        further("baselines", "fgsm", "magnet", "detection_rate", 1.0, {}, threat_model="oblivious"),
    ]
    assert cells(further_markdown({"rows": rows}))[2] == [
        *("MagNet (oblivious, n 100)", "0.9900", "0.3000 (refuses 1.0000)"),
    ]


def test_time_clusters_and_reference():
    space = {"of": "latent", "labels": "label", "space": "umap", "k": 10}
    rows = [
        further("time", "none", "blur", "ms_per_image", 1.234, {"batch": 256}),
        further("time", "none", "blur", "ms_per_image", 5.0, {"batch": 1}),
        further("clusters", "none", "pd", "silhouette", 0.25, space),
        further("clusters", "none", "pd", "silhouette", 0.75, {**space, "labels": "predicted"}),
        further("reference", "fgsm", "vanilla", "agreement", 0.7, {"setting": "mean_losses"}),
    ]
    found = cells(further_markdown({"rows": rows}))
    assert ["Blur", "5.00", "1.23"] in found
    assert ["latent, Proximity and distance", "–", "0.250", "–", "–"] in found
    assert ["mean_losses", "0.7000"] in found


def test_a_quick_run_has_nothing_further():
    assert further_markdown({"rows": [row("fgsm", "pd", "accuracy", 0.97)]}) == ""
