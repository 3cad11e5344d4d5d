"""The leaderboard: rows by robustness, whose figures they are, and RobustBench's own files."""

import json
import re
from pathlib import Path

import pytest

from madvae_tf.report import leaderboard
from madvae_tf.utils.errors import UserError

PUBLISHED = Path(__file__).parents[2] / "docs" / "leaderboard"
OURS = {
    "model": "ours <b>",
    "kind": "purifier",
    "dataset": "mnist",
    "norm": "linf",
    "eps": "0.3",
    "clean_acc": "99.00",
    "robust_acc": "93.00",
    "autoattack_acc": "94.00",
    "clean_interval": [0.98, 0.995],
    "robust_interval": [0.912, 0.944],
    "n": 1000,
    "attacks": ["autoattack_standard"],
    "source": "measured by madvae_tf 1.0.0",
}
ROBUSTBENCH = {
    "link": "https://example.org/paper",
    "name": "A paper",
    "authors": "A. Author",
    "additional_data": False,
    "number_forward_passes": 1,
    "dataset": "cifar10",
    "venue": "ICML 2030",
    "architecture": "WRN",
    "eps": "8/255",
    "clean_acc": "90.00",
    "reported": "60.00",
    "external": "51.00",
    "autoattack_acc": "52.00",
}


def put(folder, place, info):
    path = folder / "model_info" / place
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(info))


def rows(page):
    body = re.findall(r"<tbody.*?</tbody>", page, re.DOTALL)
    cells = [
        re.findall(r"<t[hd].*?</t[hd]>", row) for each in body for row in each.split("<tr")[1:]
    ]
    return [[" ".join(re.sub(r"<[^>]+>", " ", cell).split()) for cell in row] for row in cells]


def test_a_row_says_whose_figure_it_is(tmp_path):
    put(tmp_path, "mnist/Linf/ours.json", OURS)
    found = rows(leaderboard.page(leaderboard.read([tmp_path, PUBLISHED])))
    # The worst of the entry's attacks counts.
    place = next(index for index, row in enumerate(found) if row[0] == "ours &lt;b&gt;")
    assert found[place][2:4] == ["0.990 [0.980, 0.995]", "0.930 [0.912, 0.944]"]
    assert found[place][-1] == "measured by madvae_tf 1.0.0"
    values = [float(row[3].split()[0]) for row in found]
    assert values == sorted(values, reverse=True) and len(found) == 6
    others = [row for row in found if row[0] != found[place][0]]
    assert all(row[-1].startswith("published: ") for row in others)


def test_a_file_of_robustbench_is_read(tmp_path):
    put(tmp_path, "cifar10/Linf/Author2030.json", ROBUSTBENCH)
    (row,) = rows(leaderboard.page(leaderboard.read([tmp_path])))
    assert row[:4] == ["A paper", "adversarial training", "0.9000", "0.5100"]
    assert "A. Author" in row[-1] and row[-1].startswith("published")
    page = leaderboard.page(leaderboard.read([tmp_path]))
    assert "cifar10, L∞ 0.03137" in page


@pytest.mark.parametrize("content", ["{", "[]", '{"clean_acc": "1"}'])
def test_a_damaged_file_is_named(tmp_path, content):
    path = tmp_path / "model_info" / "mnist" / "Linf" / "x.json"
    path.parent.mkdir(parents=True)
    path.write_text(content)
    with pytest.raises(UserError, match="x.json is no model_info file"):
        leaderboard.read([tmp_path])
    with pytest.raises(UserError, match="No model_info files"):
        leaderboard.read([tmp_path / "elsewhere"])
