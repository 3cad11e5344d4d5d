"""What is imported is declared in setup.py: what another package happens to bring may go with its
next version.
"""

import ast
import sys
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
OURS = {"madvae_tf", "pipeline", "configs"}
# Extras whose packages are asked for by name: package -> what needs it.
OPTIONAL = {"apache_beam": "beam", "grpc": "beam", "gradio": "playground", "pyarrow": "parquet"}


def setup_arguments(text: str) -> dict[str, ast.expr]:
    """The keyword arguments of the call of setup() in `text`."""
    calls = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]
    (call,) = [
        each for each in calls if isinstance(each.func, ast.Name) and each.func.id == "setup"
    ]
    return {keyword.arg or "": keyword.value for keyword in call.keywords}


def declared(node: ast.expr, constants: dict[str, str]) -> set[str]:
    """Normalised names of the requirements in a list of strings and names of strings."""
    assert isinstance(node, ast.List)
    texts = [
        constants[each.id] if isinstance(each, ast.Name) else ast.literal_eval(each)
        for each in node.elts
    ]
    return {Requirement(text).name.lower().replace("_", "-") for text in texts}


def imported(folders: list[Path]) -> dict[str, str]:
    """Top-level module -> one file that imports it, of what is neither Python's nor ours."""
    found = {}
    for path in (file for folder in folders for file in sorted(folder.rglob("*.py"))):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module or ""]
            found |= {name.partition(".")[0]: str(path) for name in names}
    return {
        name: path for name, path in found.items() if name not in sys.stdlib_module_names | OURS
    }


def undeclared(folders: list[Path], requirements: set[str]) -> list[str]:
    brought = metadata.packages_distributions()
    missing = []
    for name, path in imported(folders).items():
        packages = {package.lower().replace("_", "-") for package in brought.get(name, [name])}
        if name not in OPTIONAL and not packages & requirements:
            missing.append(f"{path} imports {name}, of {', '.join(sorted(packages))}")
    return missing


@pytest.fixture(scope="module")
def arguments():
    return setup_arguments((ROOT / "setup.py").read_text(encoding="utf-8"))


def test_every_package_that_is_imported_is_declared(arguments):
    requirements = declared(arguments["install_requires"], {"TENSORFLOW": "tensorflow"})
    assert {"numpy", "tensorflow", "scikit-learn"} <= requirements
    assert undeclared([ROOT / name for name in sorted(OURS)], requirements) == []


def test_optional_packages_have_an_extra(arguments):
    assert isinstance(arguments["extras_require"], ast.Dict)
    extras = {ast.literal_eval(key) for key in arguments["extras_require"].keys if key is not None}
    assert set(OPTIONAL.values()) <= extras


def test_what_is_not_declared_is_found(tmp_path):
    (tmp_path / "module.py").write_text(
        "def f():\n    from sklearn.neighbors import KDTree\nimport numpy.linalg\n"
    )
    (found,) = undeclared([tmp_path], {"numpy"})
    assert "imports sklearn, of scikit-learn" in found
    assert undeclared([tmp_path], {"numpy", "scikit-learn"}) == []
