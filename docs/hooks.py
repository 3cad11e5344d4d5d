"""What the site's build writes into its pages: the settings, and the commands' own help.

MkDocs calls `on_page_markdown` for each page (`hooks` of mkdocs.yml).
"""

import dataclasses
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
COMMANDS = {
    "madvae-run": ("pipeline.run",),
    "madvae-train": ("madvae_tf.train",),
    "madvae-purify": ("madvae_tf.cli.purify",),
    "madvae-attack": ("madvae_tf.cli.attack",),
    "madvae-tflite": ("madvae_tf.cli.tflite",),
    "python -m madvae_tf.evaluation": ("madvae_tf.evaluation",),
    "python -m madvae_tf.report.leaderboard": ("madvae_tf.report.leaderboard",),
    "python -m madvae_tf.presets": ("madvae_tf.presets",),
}


def on_page_markdown(markdown: str, **_: Any) -> str:
    """The page with what belongs in the place of its comments."""
    for name, write in (("settings", settings), ("commands", commands)):
        markdown = re.sub(rf"<!-- {name}: .*? -->", lambda _, w=write: w(), markdown)
    return markdown


def settings() -> str:
    """A table for each section of the configuration, from its dataclass."""
    # MkDocs takes back what a hook's own import changes of the path.
    if str(ROOT) not in sys.path:
        sys.path.insert(0, str(ROOT))
    from madvae_tf.config import Config, type_name

    parts, whole = [], []
    for item in dataclasses.fields(Config):
        default = getattr(Config(), item.name)
        if not dataclasses.is_dataclass(default):
            whole.append((item.name, type_name(item.type), default))
            continue
        section = type(default)
        rows = [
            (f"{item.name}.{each.name}", type_name(each.type), getattr(default, each.name))
            for each in dataclasses.fields(section)
        ]
        parts.append(f"## {item.name}\n\n{_description(section)}\n\n{_table(rows)}")
    return "\n\n".join([_table(whole), *parts])


def _description(section: type) -> str:
    return re.sub(r"\n +", "\n", (section.__doc__ or "").strip())


def _table(rows: list[tuple[str, str, Any]]) -> str:
    lines = ["| Setting | Type | Default |", "|---|---|---|"]
    for name, kind, default in rows:
        lines.append(f"| `{name}` | {kind} | `{_written(default)}` |")
    return "\n".join(lines)


def _written(value: Any) -> str:
    """A default as --set takes it."""
    if isinstance(value, tuple | list):
        return f"[{','.join(map(_written, value))}]"
    return str(value).lower() if isinstance(value, bool) else str(value) or '""'


def commands() -> str:
    """What each command says to --help."""
    parts = []
    for title, module in COMMANDS.items():
        done = subprocess.run(
            [sys.executable, "-m", *module, "--help"],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "88"},
            capture_output=True,
            text=True,
            check=True,
        )
        said = re.sub(r"\n{3,}", "\n\n", done.stdout.replace(f"{ROOT}/", "").strip())
        parts.append(f"## {title}\n\n```text\n{said}\n```")
    return "\n\n".join(parts)
