"""The programs in docs/, as modules."""

import importlib.util
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"


def script(name):
    """The module of one of the programs in docs/."""
    spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
