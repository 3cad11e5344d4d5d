"""Imports go down the floors only: a table of what each room may import, held against the parsed
code.
"""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# Every room may import these; they import nothing of the project but each other.
FOUNDATION = {"madvae_tf", "madvae_tf.utils"}

GROUND_FLOOR = {
    "madvae_tf.config",
    "madvae_tf.losses",
    "madvae_tf.models",
    "madvae_tf.attacks",
    "madvae_tf.report",
}

# Room -> the other rooms that it may import.
ALLOWED: dict[str, set[str]] = {
    **{room: set() for room in FOUNDATION | GROUND_FLOOR},
    # For type checkers only: its names are looked up when they are used.
    "madvae_tf": {"madvae_tf.api", "madvae_tf.evaluation", "madvae_tf.presets"},
    "madvae_tf.attacks": {"madvae_tf.config", "madvae_tf.models"},
    "madvae_tf.report": {"madvae_tf.config"},
    "madvae_tf.data": {"madvae_tf.attacks", "madvae_tf.config"},
    "madvae_tf.training": {*GROUND_FLOOR, "madvae_tf.data"} - {"madvae_tf.report"},
    "madvae_tf.defenses": (
        {*GROUND_FLOOR, "madvae_tf.data", "madvae_tf.training"} - {"madvae_tf.report"}
    ),
    "madvae_tf.evaluation": {*GROUND_FLOOR, "madvae_tf.data", "madvae_tf.training"},
    "madvae_tf.robustness": {"madvae_tf.evaluation"},
    "madvae_tf.export": {"madvae_tf.models"},
    "madvae_tf.api": {
        *GROUND_FLOOR,
        *("madvae_tf.data", "madvae_tf.training", "madvae_tf.defenses", "madvae_tf.export"),
        "madvae_tf.evaluation",
    },
    "madvae_tf.presets": {"madvae_tf.api", "madvae_tf.data"},
    "madvae_tf.cli": {
        *("madvae_tf.attacks", "madvae_tf.models", "madvae_tf.data", "madvae_tf.export"),
        # The installed commands: what `python -m` does in a checkout.
        *("madvae_tf.train", "pipeline.run"),
    },
    "madvae_tf.playground": {"madvae_tf.attacks", "madvae_tf.data", "madvae_tf.models"},
    "madvae_tf.train": {"pipeline.run"},
    "configs": {"madvae_tf.config"},
    "pipeline": set(),
    "pipeline.engine": set(),
    "pipeline.steps": {
        *(GROUND_FLOOR | {"madvae_tf.data", "madvae_tf.training", "madvae_tf.defenses"}),
        *("madvae_tf.evaluation", "madvae_tf.export", "pipeline.engine"),
    },
    "pipeline.graph": {"madvae_tf.config", "madvae_tf.data", "pipeline.engine", "pipeline.steps"},
    "pipeline.run": {
        *("madvae_tf.config", "madvae_tf.report", "madvae_tf.training"),
        *("pipeline.engine", "pipeline.graph", "pipeline.steps"),
    },
}

# These load neither TensorFlow nor Keras anywhere.
WITHOUT_TENSORFLOW = {
    "madvae_tf",
    "madvae_tf.config",
    "madvae_tf.report",
    "configs",
}
# These only inside functions, so that a run that has nothing to do is quick.
LAZY_TENSORFLOW = {
    "madvae_tf.utils",
    "pipeline.engine",
    "pipeline.graph",
    "pipeline.steps",
    "pipeline.run",
    "madvae_tf.cli",
    "madvae_tf.playground",
    "madvae_tf.presets",
}
# Loaded where an optional package is asked for.
NEEDS_EXTRA = {"pipeline.steps.beam", "pipeline.steps.beam_workers"}
TENSORFLOW = {"tensorflow", "keras", "tensorflow_datasets", "cleverhans", "keras_tuner"}


def module_name(path: Path, root: Path) -> str:
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room_of(module: str) -> str:
    """ "madvae_tf.models.vae" -> "madvae_tf.models"; "pipeline.engine.runner" -> "pipeline"."""
    parts = module.split(".")
    return ".".join(parts[:2]) if parts[0] in ("madvae_tf", "pipeline") else parts[0]


def imported_modules(node: ast.AST, module: str, is_package: bool) -> list[str]:
    """The absolute names that one import statement loads; `from madvae_tf import utils` loads
    madvae_tf.utils.
    """
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if not isinstance(node, ast.ImportFrom):
        return []
    base = node.module or ""
    if node.level:
        package = module.split(".") if is_package else module.split(".")[:-1]
        package = package[: len(package) - node.level + 1]
        base = ".".join([*package, *filter(None, [node.module])])
    if base in ("madvae_tf", "pipeline"):
        # Dunder names such as __version__ are not modules.
        return [
            base if alias.name.startswith("__") else f"{base}.{alias.name}" for alias in node.names
        ]
    return [base]


def violations(root: Path) -> list[str]:
    """One line for each import that the table does not allow and each room that the table does not
    know.
    """
    found = []
    paths = sorted(
        path for top in ("madvae_tf", "pipeline", "configs") for path in (root / top).rglob("*.py")
    )
    for path in paths:
        module = module_name(path, root)
        room = room_of(module)
        if room not in ALLOWED:
            found.append(f"{module}: room {room} is not in the table")
            continue
        allowed = {room, *FOUNDATION, *ALLOWED[room]}
        tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
        at_once = set(map(id, tree.body))
        for node in ast.walk(tree):
            quick = room in WITHOUT_TENSORFLOW or (room in LAZY_TENSORFLOW and id(node) in at_once)
            for target in imported_modules(node, module, path.name == "__init__.py"):
                top = target.split(".")[0]
                ours = top in ("madvae_tf", "pipeline", "configs", "tests")
                if (ours and room_of(target) not in allowed) or (quick and top in TENSORFLOW):
                    found.append(f"{module}:{getattr(node, 'lineno', 0)}: {room} imports {target}")
    return found


def test_every_import_is_in_the_table():
    assert violations(ROOT) == []


def test_the_walk_sees_the_project():
    modules = {module_name(path, ROOT) for path in (ROOT / "madvae_tf").rglob("*.py")}
    assert {"madvae_tf", "madvae_tf.utils.errors", "madvae_tf.config"} <= modules


def test_planning_loads_no_tensorflow():
    """What the table cannot see: a room that is imported at once and loads TensorFlow itself."""
    paths = [
        path
        for top in (
            "pipeline",
            "configs",
            "madvae_tf/config",
            "madvae_tf/report",
            "madvae_tf/cli",
            "madvae_tf/utils",
        )
        for path in (ROOT / top).rglob("*.py")
    ]
    modules = sorted(WITHOUT_TENSORFLOW | {module_name(path, ROOT) for path in paths} - NEEDS_EXTRA)
    code = """
import importlib, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
    if "tensorflow" in sys.modules:
        sys.exit(f"{name} loads TensorFlow")
"""
    process = subprocess.run(
        [sys.executable, "-c", code, *modules],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr


def test_the_package_loads_tensorflow_when_its_api_is_used():
    code = """
import sys, madvae_tf
assert {"evaluate", "fit", "load", "Purifier", "FittedDefense", "UserError"} <= set(dir(madvae_tf))
assert madvae_tf.UserError is sys.modules["madvae_tf.utils.errors"].UserError
assert "tensorflow" not in sys.modules
import inspect
assert "images" in inspect.signature(madvae_tf.fit).parameters
assert "tensorflow" in sys.modules
try:
    madvae_tf.fitt
except AttributeError as error:
    assert "fitt" in str(error)
else:
    sys.exit("madvae_tf has an attribute that it should not have")
"""
    process = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert process.returncode == 0, process.stderr


def test_the_floors_have_no_cycle():
    """A room that another may import may not, over any number of steps, import that one."""
    for start in ALLOWED:
        reached: set[str] = set()
        frontier = set(ALLOWED[start])
        while frontier:
            reached |= frontier
            frontier = {further for room in frontier for further in ALLOWED[room]} - reached
        assert start not in reached


PLANTED = {
    "ground floor, sideways": ("madvae_tf/models/vae.py", "from madvae_tf.attacks import base"),
    "ground floor, up": ("madvae_tf/losses.py", "import madvae_tf.training.loop"),
    "by attribute of the package": ("madvae_tf/models/vae.py", "from madvae_tf import attacks"),
    "relative": ("madvae_tf/models/vae.py", "from ..attacks import base"),
    "relative from a package": ("madvae_tf/models/__init__.py", "from .. import losses"),
    "inside a function": (
        "madvae_tf/attacks/base.py",
        "def run():\n    from madvae_tf.data import batches",
    ),
    "library to pipeline": (
        "madvae_tf/evaluation/oblivious.py",
        "from pipeline.engine.plan import Stage",
    ),
    "foundation to a room": ("madvae_tf/utils/errors.py", "from madvae_tf.config import Config"),
    "config to the library": ("configs/quick.py", "from madvae_tf.models import vae"),
    "report to TensorFlow": (
        "madvae_tf/report/tables.py",
        "def draw():\n    import tensorflow as tf",
    ),
    "pipeline to TensorFlow at once": ("pipeline/graph/stages.py", "import keras"),
    "library to tests": ("madvae_tf/config.py", "from tests import conftest"),
    "a room without a row": ("madvae_tf/kitchen/sink.py", "import os"),
}


@pytest.mark.parametrize(("path", "code"), PLANTED.values(), ids=PLANTED.keys())
def test_a_planted_violation_is_found(tmp_path, path, code):
    (tmp_path / path).parent.mkdir(parents=True)
    (tmp_path / path).write_text(code + "\n")
    assert len(violations(tmp_path)) == 1


FINE = {
    "foundation": ("madvae_tf/models/vae.py", "from madvae_tf.utils.errors import UserError"),
    "its own room": (
        "madvae_tf/models/vae.py",
        "from .layers import Pad\nfrom madvae_tf.models import layers",
    ),
    "version": (
        "madvae_tf/export/saved_model.py",
        "from madvae_tf import __version__\nimport madvae_tf",
    ),
    "the entry point": ("madvae_tf/train.py", "from pipeline.run import main"),
    "pipeline, lazily": (
        "pipeline/steps/tune.py",
        "def run():\n    import tensorflow as tf\n    import madvae_tf.models",
    ),
    "pipeline, at once": (
        "pipeline/graph/stages.py",
        "from madvae_tf.config import Config\nfrom pipeline.engine import runner",
    ),
    "others' packages": (
        "madvae_tf/report/figures.py",
        "import numpy as np\nfrom matplotlib import figure",
    ),
}


@pytest.mark.parametrize(("path", "code"), FINE.values(), ids=FINE.keys())
def test_an_allowed_import_passes(tmp_path, path, code):
    (tmp_path / path).parent.mkdir(parents=True)
    (tmp_path / path).write_text(code + "\n")
    assert violations(tmp_path) == []
