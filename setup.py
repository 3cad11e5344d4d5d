"""The packaging of madvae_tf: what it needs, in ranges. `constraints.txt` pins what was tested."""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent


def read_version() -> str:
    """The version as `madvae_tf/__init__.py` states it, read without importing it."""
    text = (HERE / "madvae_tf" / "__init__.py").read_text(encoding="utf-8")
    found = re.search(r'^__version__ = "([^"]+)"$', text, re.MULTILINE)
    if found is None:
        raise RuntimeError('madvae_tf/__init__.py has no line __version__ = "...".')
    return found.group(1)


# Plain `tensorflow` runs without a GPU and pulls no CUDA packages. `tensorflow-cpu` holds the same
# modules: installed beside it, the two overwrite each other's files and neither works.
TENSORFLOW = "tensorflow>=2.21,<2.22"

# `pipeline` and `configs` are names that others may have in site-packages: an installation holds
# them inside `madvae_tf`, where `madvae_tf.utils.shipped` finds them. {package: folder}.
SHIPPED = {
    f"madvae_tf._shipped.{name}": name.replace(".", "/")
    for name in find_packages(include=["pipeline*", "configs*"])
}

setup(
    name="madvae_tf",
    version=read_version(),
    description="MAD-VAE: purify adversarial images with a variational autoencoder, on TensorFlow and Keras",  # noqa: E501
    license="Apache-2.0",
    packages=[*find_packages(include=["madvae_tf*"]), *SHIPPED],
    package_dir=SHIPPED,
    package_data={
        "madvae_tf": ["py.typed"],
        "madvae_tf.presets": ["*/*"],
        "madvae_tf.report": ["scripts/*.js", "templates/*.j2"],
    },
    python_requires=">=3.11,<3.14",  # Keras 3.15 asks for 3.11; TensorFlow 2.21 has no wheel for 3.14.  # noqa: E501
    install_requires=[
        TENSORFLOW,
        "keras>=3.15,<4",
        "absl-py>=2.1",
        "cleverhans>=4,<5",
        "h5py>=3.11",
        "importlib_resources>=6",  # tensorflow-datasets imports it without naming it.
        "jinja2>=3.1",
        "keras-tuner>=1.4.8,<2",
        "matplotlib>=3.9",
        "numpy>=2,<3",
        "pillow>=10.3",
        "scikit-learn>=1.5",
        "scipy>=1.13",
        "tensorboard>=2.21",  # TensorFlow 2.21 no longer brings it; older ones need pkg_resources.
        "tensorflow-datasets>=4.9.9",
        "threadpoolctl>=3.5",
        "tqdm>=4.66",
        "umap-learn>=0.5.7",
    ],
    entry_points={
        "console_scripts": [
            "madvae-run = madvae_tf.cli.pipeline:run",
            "madvae-train = madvae_tf.cli.pipeline:train",
            "madvae-purify = madvae_tf.cli.purify:run",
            "madvae-attack = madvae_tf.cli.attack:run",
            "madvae-tflite = madvae_tf.cli.tflite:run",
        ]
    },
    extras_require={
        # The site; the tutorial and what executes it.
        "docs": [
            "mkdocs>=1.6,<2",
            "mkdocs-material>=9.7,<10",
            "mkdocstrings[python]>=1.0,<2",
            "nbclient>=0.10",
            "nbformat>=5.10",
            "ipykernel>=6.29",
        ],
        "cpu": [TENSORFLOW],
        # gradio 6 asks for Pillow below 13, so `make playground` leaves that pin of constraints.txt
        # out.
        "playground": ["gradio>=6.31,<7"],
        # What `read_dataset` reads Parquet with.
        "parquet": ["pyarrow>=17"],
        "gpu": ["tensorflow[and-cuda]>=2.21,<2.22"],
        # It caps protobuf below 7, so it replaces the one that constraints.txt names.
        "beam": ["apache-beam>=2.77,<2.78", "grpcio>=1.67"],
        # The nodejs extra brings pyright's JavaScript engine as a package, so that checking needs
        # no other download.
        "test": [
            "hypothesis>=6.100",
            "mypy>=1.18",
            "pyarrow>=17",
            "pytest>=8",
            "pytest-timeout>=2.3",
            "pytest-xdist>=3.6",
            "pyright[nodejs]>=1.1.400",
            "ruff>=0.12",
        ],
    },
)
