"""The tables for a README: values of the rows, in their columns."""

import subprocess
import sys

from madvae_tf.report.markdown import tables_markdown


def cells(text):
    return [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.splitlines()
        if line.startswith("|")
    ]


def test_a_missing_file_is_one_clear_line():
    command = [sys.executable, "-m", "madvae_tf.report.markdown", "absent.json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].endswith(
        "error: argument results.json: no file 'absent.json'"
    )
    assert "Traceback" not in done.stderr


def test_every_table_is_there_with_its_figures(row, rate):
    space = {"of": "latent", "labels": "label", "space": "umap", "k": 10}
    time = {"table": "time", "attack": "none", "defense": "blur", "metric": "ms_per_image"}
    bare = {"ci_low": None, "ci_high": None}
    rows = [
        rate(120, defense="none"),
        rate(130, defense="none", metric="agreement", paper=0.1316),
        rate(970, defense="pd"),
        rate(
            900,
            table="table3a",
            defense="pd",
            metric="agreement",
            parameters={"substitute": "B"},
            paper=0.4048,
        ),
        rate(
            600,
            table="table3c",
            defense="none",
            parameters={"substitute": "E"},
            threat_model="transfer",
        ),
        rate(300, table="baselines", defense="magnet"),
        rate(1000, table="baselines", defense="magnet", metric="detection_rate"),
        row(**time, **bare, value=1.234, parameters={"batch": 256}),
        row(**time, **bare, value=5.0, parameters={"batch": 1}),
        row(
            table="clusters",
            attack="none",
            defense="pd",
            metric="silhouette",
            value=0.25,
            parameters=space,
            **bare,
        ),
        rate(
            700,
            table="reference",
            metric="agreement",
            parameters={"setting": "mean_losses", "difference": "x"},
        ),
    ]
    text = tables_markdown({"run": {}, "rows": rows})
    found = cells(text)
    assert ["Attack", "No defence", "Proximity and distance"] in found
    none = "0.120 [0.101, 0.142], agreement 0.130 [0.111, 0.152] (paper 0.1316)"
    assert ["FGSM (epsilon 0.3, n = 1000 · seed 0)", none, "**0.970** [0.957, 0.979]"] in found
    assert any(
        line[0].startswith("B (FGSM") and line[1] == "agreement 0.900 [0.880, 0.917] (paper 0.4048)"
        for line in found
    )
    assert any(line[0].startswith("E (FGSM") and line[1].startswith("0.600 [") for line in found)
    assert any(
        line[1].startswith("0.300") and "refused 1.000" in line[1]
        for line in found
        if "MagNet" in line[0]
    )
    assert ["Blur", "5.00 ms", "1.23 ms"] in found
    assert ["Latent codes, Proximity and distance (n = 1000 · seed 0)", "0.250"] in found
    assert any(line[0].startswith("mean_losses") and "0.700" in line[1] for line in found)
    assert "threat model: transfer (the attacker attacks another model" in " ".join(text.split())


def test_a_run_without_rows_has_no_tables():
    assert tables_markdown({"rows": []}) == "\n"
