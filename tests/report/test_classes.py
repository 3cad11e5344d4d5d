"""Classes of any number, with their names: confusions, gallery, strips and facts."""

import json

import numpy as np

from madvae_tf.report import write_report
from madvae_tf.report.confusion import section
from madvae_tf.report.explorer import section as explorer
from madvae_tf.report.names import class_names, class_word

NAMES = ["cat", "dog", "owl"]


def counts(row, cells):
    shared = {"table": "table9", "defense": "cls", "metric": "count", "dataset": "own"}
    none = {"ci_low": None, "ci_high": None, "paper": None}
    return [row(**shared, **none, parameters=cell, value=value) for cell, value in cells]


def three(row):
    matrix = [[5, 1, 0], [2, 6, 0], [0, 0, 8]]
    cells = [
        ({"true": true, "predicted": guess}, matrix[true][guess])
        for true in range(3)
        for guess in range(3)
    ]
    return counts(row, cells)


def pictures():
    label = np.arange(3)
    x = np.random.default_rng(0).random((3, 28, 28, 1)).astype(np.float32)
    shares = np.full((3, 3), 0.1) + 0.7 * np.eye(3)[[1, 1, 2]]
    images = {"label": label, "clean": x, "purified/cls/none": x}
    for name in ("none/none", "cls/none"):
        images |= {f"prediction/{name}": np.array([1, 1, 2]), f"probabilities/{name}": shares}
    return images


def test_names_fill_up_with_numbers():
    assert class_names({}, 3) == ("0", "1", "2")
    assert class_names({"classes": NAMES}, 4) == ("cat", "dog", "owl", "3")
    assert class_names({"classes": NAMES}, 2) == ("cat", "dog")
    assert class_word(class_names({}, 10)) == "digit" and class_word(NAMES) == "class"


def test_a_small_matrix_is_whole_and_named(row):
    _, table = section(three(row), {"classes": NAMES})
    assert [cell.text for cell in table.columns[1:]] == NAMES
    # Predicted labels in rows.
    assert [[cell.text for cell in line] for line in table.rows] == [
        ["cat", "5", "2", "0"],
        ["dog", "1", "6", "0"],
        ["owl", "0", "0", "8"],
    ]
    assert table.rows[1][1].detail.startswith("predicted dog, true cat: 1 of 6")
    assert [cell.figures[0].value for cell in table.foot[0][1:]] == [5 / 6, 6 / 8, 1.0]
    assert len(table.foot) == 1


def test_of_many_classes_the_confusions_are_lines(row):
    often = {"true": 25, "predicted": 3, "of": 40}
    less = {"true": 4, "predicted": 29, "of": 20}
    cells = [(often, 8), (less, 5)]
    (table,) = section(counts(row, cells), {"classes": [f"kind {k}" for k in range(30)]})
    assert [[cell.text for cell in line[:4]] for line in table.rows] == [
        ["kind 25", "kind 3", "8", "40"],
        ["kind 4", "kind 29", "5", "20"],
    ]
    assert [line[4].figures[0].value for line in table.rows] == [0.2, 0.25]


def test_the_gallery_shows_the_classes_that_there_are():
    (part,) = explorer(pictures(), {"classes": NAMES})
    assert part.values["classes"] == NAMES and part.values["word"] == "class"
    assert part.values["picks"]["digit"] == {"0": "cat", "1": "dog", "2": "owl"}
    data = json.loads(part.values["data"])
    assert data["probabilities"]["cls/none"][0] == [1000, 8000, 1000]
    many = pictures()
    many["label"] = many["label"] + 40
    for name in ("none/none", "cls/none"):
        shares = np.zeros((3, 50))
        shares[:, [7, 40, 41, 42]] = [0.4, 0.3, 0.2, 0.1]
        many |= {f"prediction/{name}": np.full(3, 7), f"probabilities/{name}": shares}
    data = json.loads(explorer(many, {})[0].values["data"])
    assert data["classes"] == [7, 40, 41, 42] and len(data["names"]) == 50
    assert data["probabilities"]["cls/none"][0] == [4000, 3000, 2000, 1000]


def test_a_page_of_three_named_classes(row, tmp_path):
    run = {"name": "own", "dataset": "own", "classes": NAMES}
    write_report(tmp_path, run, three(row), pictures())
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "3: cat, dog, owl" in page and '<th scope="row">owl</th>' in page
    assert "probability for every class" in page
    assert json.loads((tmp_path / "results.json").read_text())["run"]["classes"] == NAMES
