"""Whether two workdirs hold the same: shards, logs and rows byte by byte, weights by value.

Saved models carry dates, so of them the weights are compared; times of the stage "time" are not,
nor what names the machine.
"""

import hashlib
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from madvae_tf.utils.errors import UserError
from pipeline.engine import artifacts

_EXACT = ("log.csv", "centers.npy", "set.json", "metrics.json", "adopted.json", "source.json")


def finished(workdir: Path) -> dict[str, Path]:
    """Name below `artifacts/` -> folder, of everything that has its final name."""
    folders = sorted((workdir / "artifacts").glob("*/*"))
    return {
        str(path.relative_to(workdir / "artifacts")): path
        for path in folders
        if not path.name.endswith(".partial")
    }


def broken(workdir: Path) -> list[str]:
    """One line for each finished artifact that is not what its manifest says."""
    lines = []
    for folder in finished(workdir).values():
        try:
            artifacts.verify(folder, artifacts.read_manifest(folder)["key"])
        except UserError as error:
            lines.append(str(error))
    return lines


def fingerprint(folder: Path, name: str) -> Any:
    """What must be equal of one file of an artifact; None where nothing need be."""
    path, kind = folder / name, folder.parent.name
    if name.endswith(".keras"):
        return _weights(path)
    if name == "rows.json":
        return None if kind == "time" else path.read_bytes()
    if name == "results.json":
        results = json.loads(path.read_text())
        return [row for row in results["rows"] if row["table"] != "time"], results["run"][
            "training"
        ]
    if name.endswith(".npz"):
        with np.load(path) as arrays:
            return {
                each: hashlib.sha256(arrays[each].tobytes()).hexdigest() for each in arrays.files
            }
    if "tfrecord" in name:
        return _examples(path)
    if name.startswith("shard-") or name in _EXACT or name.endswith(".npy"):
        return path.read_bytes()
    return None


def _examples(path: Path) -> list[Any]:
    """The examples of a TFRecord file: the order of the fields within one differs from process to
    process.
    """
    from tensorflow.core.example.example_pb2 import Example

    content, place, found = path.read_bytes(), 0, []
    while place < len(content):
        length = int.from_bytes(content[place : place + 8], "little")
        example = Example.FromString(content[place + 12 : place + 12 + length])
        fields = sorted(example.features.feature.items())
        found.append(
            [(name, value.SerializeToString(deterministic=True)) for name, value in fields]
        )
        place += 16 + length
    return found


def _weights(path: Path) -> dict[str, str]:
    """Variable -> hash of its values, of a `.keras` file."""
    found: dict[str, str] = {}

    def visit(name: str, node: Any) -> None:
        if isinstance(node, h5py.Dataset):
            found[name] = hashlib.sha256(np.asarray(node).tobytes()).hexdigest()

    with (
        zipfile.ZipFile(path) as archive,
        h5py.File(io.BytesIO(archive.read("model.weights.h5"))) as file,
    ):
        file.visititems(visit)
    return found


def differences(one: Path, other: Path, kind: str) -> list[str]:
    """What differs between the finished artifacts of `kind` in two workdirs, one line each."""
    lines = []
    left, right = (
        {name: folder for name, folder in finished(w).items() if name.startswith(f"{kind}/")}
        for w in (one, other)
    )
    if not left or left.keys() != right.keys():
        lines.append(f"{kind}: artifacts {sorted(left)} and {sorted(right)}")
    for artifact in left.keys() & right.keys():
        files = [
            _lasting(artifacts.content_files(folder))
            for folder in (left[artifact], right[artifact])
        ]
        if files[0] != files[1]:
            lines.append(f"{artifact}: files {files[0]} and {files[1]}")
        for name in set(files[0]) & set(files[1]):
            if fingerprint(left[artifact], name) != fingerprint(right[artifact], name):
                lines.append(f"{artifact}/{name} differs")
    return lines


def _lasting(files: list[str]) -> list[str]:
    """Without TensorBoard's files, which are named by the clock and one for each attempt."""
    return [name for name in files if "tensorboard/" not in name]
