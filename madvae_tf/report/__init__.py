"""The report: rows and arrays in; a page, tables, pictures and results.json out. No TensorFlow.

`validate_rows` is the schema's check, `paper_value` the paper's own figures.
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from madvae_tf.report import formats, rendering, result
from madvae_tf.report.card import model_card
from madvae_tf.report.clusters import check_embeddings
from madvae_tf.report.drawing import STYLES
from madvae_tf.report.names import FIELDS, SCHEMA_VERSION, VARIANTS, Row
from madvae_tf.report.page import sections
from madvae_tf.report.paper import paper_value
from madvae_tf.report.schema import validate_rows
from madvae_tf.utils.errors import UserError

__all__ = ["paper_value", "validate_rows", "write_report"]


def write_report(
    folder: Path,
    run: dict[str, Any],
    rows: list[Row],
    images: dict[str, np.ndarray],
    clusters: Mapping[str, np.ndarray] | None = None,
) -> None:
    """Writes the report of a run.

    `folder` gets `index.html`, `results.json`, `figures/` (SVG, PDF), `tables/` (CSV, LaTeX) and
    `cards/`, a model card for each variant. The same input gives the same bytes. Nothing is written
    before everything is checked and drawn.

    Args:
        folder: made if absent; files of an earlier report are overwritten.
        run: facts about the run; every key is optional. See
            docs/reference/results-json.md. A warning joins its warnings
            where purifiers did not meet attackers who know of them.
        rows: see `schema`.
        images: "label" (k,); "clean", "adversarial/<attack>", "purified/<defense>/<attack>" (k,
            height, width, channels) in [0, 1]; "prediction/<defense>/<attack>" (k,) labels;
            "probabilities/<defense>/<attack>" (k, classes) in [0, 1]. Absent ones are left out.
        clusters: embeddings in the plane, "<what>/<defense>" such as "output/pd": ".../xy" float
            (n, 2), ".../label" int (n,) and ".../predicted" int (n,), class numbers. Absent ones
            are left out, and "predicted" may be absent.

    Raises:
        UserError: a row or an array that is not what it should be.
    """
    validate_rows(rows)
    _check_pictures(images)
    check_embeddings(clusters or {})
    run = _plain(run)
    missing = result.warnings(rows)
    if missing:
        run["warnings"] = [*missing, *(run.get("warnings") or [])]
    found = sections(run, rows, images, clusters or {})
    page = rendering.page(
        f"MAD-VAE report: {run.get('name') or 'run'}",
        found,
        [(name, light, dark) for name, (light, dark, _) in STYLES.items()],
    )
    files = {
        f"figures/{name}": content for section in found for name, content in section.files.items()
    }
    tables = formats.files([table for section in found for table in section.tables])
    files |= {f"tables/{name}": text.encode() for name, text in tables.items()}
    results = _results_json(run, rows)
    measured = {row["defense"] for row in rows if row["table"] == "table1"}
    files |= {
        f"cards/{name}.md": model_card(run, rows, name).encode()
        for name in (*VARIANTS, "robust")
        if name in measured
    }
    folder = Path(folder)
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    (folder / "results.json").write_text(results, encoding="utf-8")
    (folder / "index.html").write_text(page, encoding="utf-8")


def _results_json(run: Mapping[str, Any], rows: list[Row]) -> str:
    """The text of results.json: schema, run, and one row a line, fields in the schema's order."""
    head = json.dumps(run, indent=1, ensure_ascii=False, allow_nan=False)
    body = ",\n".join(
        json.dumps({name: row[name] for name in FIELDS}, ensure_ascii=False, allow_nan=False)
        for row in rows
    )
    return f'{{"schema": {SCHEMA_VERSION},\n"run": {head},\n"rows": [\n{body}\n]}}\n'


def _plain(value: Any) -> Any:
    """`value` as JSON has it: arrays as lists, paths as text, NaN and infinity as null."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return str(value)


def _check_pictures(images: Mapping[str, np.ndarray]) -> None:
    sizes = {key: len(array) for key, array in images.items() if np.ndim(array) > 0}
    for key, array in images.items():
        expected = "(k, height, width, channels)"
        if key == "label" or key.startswith("prediction/"):
            expected = "(k,)"
        elif key.startswith("probabilities/"):
            expected = "(k, classes)"
        if np.ndim(array) != expected.count(",") + (expected != "(k,)"):
            raise UserError(
                f"Invalid report image {key!r}: received shape {np.shape(array)}, expected"
                f" {expected}."
            )
        if sizes[key] != next(iter(sizes.values())):
            raise UserError(
                f"Invalid report image {key!r}: received {sizes[key]} entries, expected "
                f"{next(iter(sizes.values()))} as in {next(iter(sizes))!r}."
            )
