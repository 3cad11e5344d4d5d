"""Lists the trained defences that come with the package, and what each withstands.

Usage: `python -m madvae_tf.presets [--json]`.
"""

import json
import sys
from collections.abc import Mapping
from typing import Any

from madvae_tf.presets import facts, names
from madvae_tf.utils import console


def main(arguments: list[str]) -> None:
    """Prints a line for each preset, or with --json what their metadata say."""
    parser = console.parser(__doc__ or "", prog="python -m madvae_tf.presets")
    parser.add_argument("--json", action="store_true", help="the metadata, as JSON")
    found = {name: facts(name) for name in names()}
    if parser.parse_args(arguments).json:
        text = json.dumps(found, indent=2, sort_keys=True)
    else:
        text = "\n".join(_line(name, each) for name, each in found.items())
    sys.stdout.write(text + "\n")


def _line(name: str, own: Mapping[str, Any]) -> str:
    figures = own.get("figures") or {}
    shown = [
        f"{title} {figures[title]['accuracy']:.3f}"
        f" [{figures[title]['ci_low']:.3f}, {figures[title]['ci_high']:.3f}]"
        f" (n = {figures[title]['n']})"
        for title in ("clean", "robust")
        if title in figures
    ]
    attack = f"; {figures['attack']}" if "attack" in figures else ""
    measured = f"{', '.join(shown)}{attack}" if shown else "not measured"
    return f"{name}: {own.get('dataset') or 'data set unknown'}, {own.get('threat')}: {measured}"


if __name__ == "__main__":
    main(sys.argv[1:])
