"""Writes one page of what several runs found: `python docs/make_page.py FOLDER RESULTS.json...
ARTIFACTS...`.

FOLDER gets `index.html`, `figures/`, `results.json` and `tables.md`. Of each RESULTS.json come the
rows that are not of robustness stages, of the first one the facts about the run; of the finished
robustness stages in the folders ARTIFACTS (.../FOLDER/artifacts/robustness) every row and warning;
what FOLDER/notes.json says of a defence stands under the table, and `run.joined` of results.json
names FOLDER/README.md, which has the commands and commits of its stages. A run of days in parts,
with other settings for each, has one page so. Nothing is computed.
"""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from madvae_tf.report import write_report
from madvae_tf.report.markdown import tables_markdown
from madvae_tf.report.names import IDENTITY
from madvae_tf.utils import console
from madvae_tf.utils.errors import UserError

# What the robustness stages write.
_STAGED = ("robustness", "natural", "detection")
# A figure of the same thing twice is a mistake of who joins them; these tell two figures apart.
_KEY = (*IDENTITY, "n")


def join(
    results: Sequence[Path], artifacts: Sequence[Path]
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The facts and the rows of the page.

    Raises:
        UserError: there is no finished stage, or two figures of the same thing differ.
    """
    pages = [json.loads(path.read_text(encoding="utf-8")) for path in results]
    origin = {
        path: each.parents[1]
        for each in artifacts
        for path in sorted(each.iterdir())
        if (path / "rows.json").exists()
    }
    folders = list(origin)
    if not pages or not folders:
        raise UserError(
            f"Nothing to join: received {len(pages)} results.json and {len(folders)} finished"
            " stages, expected one of each at least."
        )
    staged = [json.loads((folder / "rows.json").read_text(encoding="utf-8")) for folder in folders]
    warnings = [
        json.loads((folder / "warnings.json").read_text(encoding="utf-8")) for folder in folders
    ]
    kept = [row for page in pages for row in page["rows"] if row["table"] not in _STAGED]
    run = {**pages[0]["run"], "warnings": sorted({line for lines in warnings for line in lines})}
    run["joined"] = [
        *(
            {"command": page["run"].get("command"), "commit": page["run"].get("commit")}
            for page in pages
        ),
        *(
            {"stage": folder.name}
            | ({"told_in": str(told)} if (told := source / "README.md").exists() else {})
            for folder, source in origin.items()
        ),
    ]
    for source in dict.fromkeys(origin.values()):
        if (source / "notes.json").exists():
            said = json.loads((source / "notes.json").read_text(encoding="utf-8"))
            run["notes"] = (run.get("notes") or {}) | said
    return run, _once([*kept, *(row for rows in staged for row in rows)])


def _once(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for row in rows:
        key = json.dumps([row[name] for name in _KEY], sort_keys=True)
        other = found.setdefault(key, row)
        if other["value"] != row["value"]:
            raise UserError(
                f"Two figures of {row['attack']}, {row['defense']}, {row['threat_model']}:"
                f" {other['value']} and {row['value']}; leave out one of their stages."
            )
    return list(found.values())


def write_page(folder: Path, results: Sequence[Path], artifacts: Sequence[Path]) -> None:
    """See the module's docstring."""
    run, rows = join(results, artifacts)
    write_report(folder, run, rows, {})
    head = (
        f"# {run['dataset'].upper()}, {run['name']}: what its runs found\n\nThe commands and"
        " commits of each stage: the README.md that `run.joined` of `results.json` names."
    )
    tables = tables_markdown({"run": run, "rows": rows})
    (folder / "tables.md").write_text(f"{head}\n\n{tables}", encoding="utf-8")


if __name__ == "__main__":
    parser = console.parser(__doc__ or "")
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("sources", type=Path, nargs="+", metavar="RESULTS.json or ARTIFACTS")
    given = parser.parse_args()
    try:
        write_page(
            given.folder,
            [path for path in given.sources if path.is_file()],
            [path for path in given.sources if not path.is_file()],
        )
    except (OSError, UserError) as error:
        parser.error(str(error))
