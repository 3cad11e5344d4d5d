"""The page's HTML, from the templates beside this module.

Autoescape is on, so every text of a row or a run is text. The page stands alone: its policy lets it
run its own scripts, show embedded pictures, and ask for nothing else.
"""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from madvae_tf.report.formats import to_csv, to_latex
from madvae_tf.report.parts import Section
from madvae_tf.report.table import Table

SCRIPTS = ("tables.js", "curves.js", "explorer.js")
_FOLDER = Path(__file__).parent


def data_uri(content: bytes | str, kind: str) -> str:
    """A data URI; text is UTF-8."""
    raw = content.encode() if isinstance(content, str) else content
    charset = ";charset=utf-8" if isinstance(content, str) else ""
    return f"data:{kind}{charset};base64,{base64.b64encode(raw).decode()}"


def scripts() -> str:
    """All scripts as one."""
    return "\n".join((_FOLDER / "scripts" / name).read_text(encoding="utf-8") for name in SCRIPTS)


def page(title: str, sections: Sequence[Section], colors: object = ()) -> str:
    """The whole page.

    Args:
        title: plain text.
        sections: those to show.
        colors: (name, colour on light, colour on dark) of every line that charts draw.
    """
    script = scripts()
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    values = {
        "title": title,
        "sections": sections,
        "colors": colors,
        "script": script,
        "digest": digest,
    }
    return _environment().get_template("page.html.j2").render(values)


def pipeline(pictures: Mapping[str, str]) -> str:
    """The drawing of the training pipeline as one `<svg>` element.

    Args:
        pictures: data URIs of small images "clean", "adversarial" and "purified"; absent ones are
            left out.
    """
    return _environment().get_template("pipeline.svg.j2").render(pictures=pictures).strip()


def fragment(table: Table, warnings: Sequence[str] = ()) -> str:
    """One table with its caption and warnings, to stand in a notebook."""
    values = {"table": table, "warnings": warnings}
    return _environment().get_template("fragment.html.j2").render(values)


def _environment() -> Environment:
    found = Environment(
        loader=FileSystemLoader(_FOLDER / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.globals["downloads"] = _downloads
    found.globals["is_table"] = lambda part: isinstance(part, Table)
    return found


def _downloads(table: Table) -> list[tuple[str, str, str]]:
    """Title, file name and data URI of each of a table's files."""
    return [
        ("CSV", f"{table.name}.csv", data_uri(to_csv(table), "text/csv")),
        ("LaTeX", f"{table.name}.tex", data_uri(to_latex(table), "application/x-tex")),
    ]
