"""The API page from the docstrings: `make docs` writes HTML into the folder that is named, docs/api
by default.

pdoc reads the modules that users import. Anything that it warns of (a docstring that names what is
not there, an annotation that does not resolve, a module that does not import) ends with status 1.
"""

import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import pdoc

import madvae_tf
import madvae_tf.evaluation
from madvae_tf.utils import console

# What a user of the library imports; the pipeline's inside is for those who change it.
MODULES = (
    "madvae_tf",
    "madvae_tf.api",
    "madvae_tf.attacks",
    "madvae_tf.config",
    "madvae_tf.data.folders",
    "madvae_tf.defenses",
    "madvae_tf.utils.errors",
    "madvae_tf.evaluation.oblivious",
    "madvae_tf.export.saved_model",
    "madvae_tf.utils.images",
    "madvae_tf.losses",
    "madvae_tf.models.classifiers",
    "madvae_tf.models.external_classifier",
    "madvae_tf.models.vae",
    "madvae_tf.evaluation",
    "madvae_tf.config.variants",
)


def _resolve() -> None:
    """Some packages load their names when they are first asked for; pdoc looks for them without
    asking.
    """
    for package in (madvae_tf, madvae_tf.evaluation):
        for name in package.__all__:
            getattr(package, name)


def _members() -> Iterator[pdoc.doc.Doc]:
    _resolve()
    for name in MODULES:
        for member in pdoc.doc.Module.from_name(name).members.values():
            own = (member.modulename or "").startswith("madvae_tf")
            if own and member.kind in ("class", "function") and not member.name.startswith("_"):
                yield member


def public() -> list[str]:
    """The classes and functions of the page, as "module.name"."""
    return [member.fullname for member in _members()]


def undocumented() -> list[str]:
    """Those without a docstring."""
    return [member.fullname for member in _members() if not member.docstring]


def main(folder: Path) -> list[str]:
    """Writes the page; returns what is wrong with it."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        _resolve()
        pdoc.render.configure(docformat="google", show_source=True)
        pdoc.pdoc(*MODULES, output_directory=folder)
        missing = undocumented()
    said = [str(item.message) for item in caught if issubclass(item.category, UserWarning)]
    return [*said, *(f"{name} has no docstring" for name in missing)]


if __name__ == "__main__":
    parser = console.parser(__doc__ or "")
    parser.add_argument("folder", nargs="?", type=Path, default=Path("docs/api"))
    faults = main(parser.parse_args().folder)
    sys.stderr.writelines(f"make docs: {fault}\n" for fault in faults)
    sys.exit(bool(faults))
