"""The API page from the docstrings: `make docs` writes HTML into the folder that is named, docs/api by default.

pdoc reads the modules that users import. Anything that it warns of (a docstring that names what is not there, an annotation that
does not resolve, a module that does not import) ends with status 1.
"""

import sys
import warnings
from pathlib import Path

import pdoc

# What a user of the library imports; the pipeline's inside is for those who change it.
MODULES = (
    "madvae_tf",
    "madvae_tf.api",
    "madvae_tf.attacks",
    "madvae_tf.config",
    "madvae_tf.data.folders",
    "madvae_tf.defenses",
    "madvae_tf.errors",
    "madvae_tf.evaluate",
    "madvae_tf.export",
    "madvae_tf.images",
    "madvae_tf.losses",
    "madvae_tf.models.classifiers",
    "madvae_tf.models.foreign",
    "madvae_tf.models.vae",
    "madvae_tf.robustness",
    "madvae_tf.variants",
)


def undocumented() -> list[str]:
    """Public names of MODULES without a docstring, as "module.name"."""
    found = []
    for name in MODULES:
        module = pdoc.doc.Module.from_name(name)
        members = [member for member in module.members.values() if member.kind in ("class", "function")]
        for member in members:
            own = (member.modulename or "").startswith("madvae_tf")
            if own and not member.name.startswith("_") and not member.docstring:
                found.append(member.fullname)
    return found


def main(folder: Path) -> list[str]:
    """Writes the page; returns what is wrong with it."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        pdoc.render.configure(docformat="google", show_source=True)
        pdoc.pdoc(*MODULES, output_directory=folder)
        missing = undocumented()
    said = [str(item.message) for item in caught if issubclass(item.category, UserWarning)]
    return [*said, *(f"{name} has no docstring" for name in missing)]


if __name__ == "__main__":
    faults = main(Path(sys.argv[1] if len(sys.argv) > 1 else "docs/api"))
    sys.stderr.writelines(f"make docs: {fault}\n" for fault in faults)
    sys.exit(bool(faults))
