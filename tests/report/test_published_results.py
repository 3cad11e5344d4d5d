"""Results that were published stay readable: each page is written anew from its results.json, with
all figures of its tables.
"""

import csv
import io
import json
from pathlib import Path

import pytest

from madvae_tf.report import write_report

FOLDER = Path(__file__).parents[2] / "docs" / "results"


@pytest.mark.parametrize("name", ["published", "mnist", "robust_l2"])
def test_a_published_page_is_written_anew(name, parse, tmp_path):
    found = json.loads((FOLDER / name / "results.json").read_text(encoding="utf-8"))
    write_report(tmp_path, found["run"], found["rows"], {})
    assert (
        json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))["rows"] == found["rows"]
    )
    parsed = parse((tmp_path / "index.html").read_text(encoding="utf-8"))
    assert not parsed.errors and len(parsed.ids) == len(set(parsed.ids)) and all(parsed.alts)
    values = set()
    for file in (tmp_path / "tables").glob("*.csv"):
        cells = {cell for line in csv.reader(io.StringIO(file.read_text("utf-8"))) for cell in line}
        values |= {part for cell in cells for part in cell.replace(":", ";").split("; ")}
        values |= {part for cell in cells for part in cell.split()}
    shown = [
        row
        for row in found["rows"]
        if row["metric"] in ("accuracy", "success_rate", "auc", "count")
    ]
    # Another seed's figure stands beside the mean; the rest of detection's curves is drawn.
    assert [row for row in shown if f"{row['value']:.6g}" not in values] == []
