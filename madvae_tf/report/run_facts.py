"""This run: what it is, on what data and machine, how long each stage took, how to repeat it.

Every key of `run` is optional; what is absent is left out.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from madvae_tf.report.names import class_word, classifier_title
from madvae_tf.report.parts import Part, definitions, paragraph
from madvae_tf.report.summary import count
from madvae_tf.report.table import DASH, Cell, Figure, Table
from madvae_tf.report.table1 import Line, defenses_of, sample
from madvae_tf.utils.confusions import WHOLE


def section(run: Mapping[str, Any], lines: Sequence[Line]) -> list[Part]:
    """What was built and measured; then config, data, sample, classifier, machine, version."""
    attacks = list(dict.fromkeys(line.attack for line in lines if line.attack != "none"))
    purifiers = [name for name in defenses_of(lines) if name != "none"]
    introduction = (
        "An image classifier can be fooled by changes to an image that a person would ignore. "
        "MAD-VAE puts a purifier before the classifier: a variational autoencoder, trained on "
        "pairs of attacked and clean images, that redraws every image before the classifier sees "
        f"it. This run on {run.get('dataset') or 'its dataset'} trained the classifier and "
        f"measured {count(len(purifiers), 'purifier')} under {count(len(attacks), 'attack')} "
        f"({sample(lines)})."
    )
    source = run.get("source") or {}
    classifier = run.get("classifier") or {}
    n = classifier.get("n")
    accuracy = _share(classifier.get("test_accuracy"), n, classifier.get("ci"))
    facts = {
        "Config": str(run.get("name", "")),
        "Dataset": str(run.get("dataset", "")),
        "Classes": _classes(run.get("classes") or ()),
        "Classifier": classifier_title(run)[4:] if run.get("config") else "",
        "Data source": f"{source.get('kind', '')}: {source.get('detail', '')}" if source else "",
        "Sample": sample(lines),
        "Run seed": str(run.get("seed", "")),
        "Classifier’s test accuracy": (
            accuracy + ("" if n is None else f", n = {n}") if classifier else ""
        ),
        "Classifier’s validation accuracy": _share(classifier.get("validation_accuracy")),
        "Machine": ", ".join(
            _machine(key, value) for key, value in (run.get("machine") or {}).items()
        ),
        "Version": (
            str(run.get("project_version", ""))
            + (f" (commit {run['commit']})" if run.get("commit") is not None else "")
        ),
    }
    return [
        paragraph(introduction),
        definitions({name: fact for name, fact in facts.items() if fact}, kind="facts"),
    ]


def _classes(names: Sequence[str]) -> str:
    """Their names, of many their number; nothing of digits."""
    if not names or class_word(names) == "digit":
        return ""
    return f"{len(names)}: {', '.join(names)}" if len(names) <= WHOLE else str(len(names))


def _share(value: float | None, n: int | None = None, ends: Sequence[float] | None = None) -> str:
    if value is None:
        return ""
    figure = Figure(value, (ends[0], ends[1]) if ends else None, n)
    return f"{figure.shown} {figure.ends}".rstrip()


def _machine(key: str, value: Any) -> str:
    if key.endswith("_bytes"):
        return f"{key.removesuffix('_bytes').replace('_', ' ')} {_gibibytes(value)}"
    return f"{key.replace('_', ' ')} {value}"


def stages(run: Mapping[str, Any]) -> list[Table]:
    """Seconds and peak memory of each stage, with a bar, their sum and the highest peak."""
    found = run.get("stages") or []
    if not found:
        return []
    seconds = [float(stage.get("seconds") or 0.0) for stage in found]
    peaks = [stage["peak_memory_bytes"] for stage in found if stage.get("peak_memory_bytes")]
    longest = max(seconds) or 1.0
    body = [
        (
            Cell(str(stage.get("stage", ""))),
            Cell(str(stage.get("instance") or "")),
            Cell(f"{spent:.1f}", order=spent),
            Cell(kind="bar", share=spent / longest),
            _memory(stage.get("peak_memory_bytes")),
        )
        for stage, spent in zip(found, seconds, strict=True)
    ]
    minutes, rest = divmod(round(sum(seconds)), 60)
    peak = Cell(f"{_gibibytes(max(peaks, default=None))} at most")
    foot = [
        (Cell("Sum"), Cell(f"{minutes} min {rest} s"), Cell(f"{sum(seconds):.1f}"), Cell(" "), peak)
    ]
    columns = [*map(Cell, ("Stage", "Instance", "Seconds", "Beside the longest", "Peak memory"))]
    text = "Wall time and peak memory of each as it was built."
    return [Table("stages", "Stages of the pipeline.", text, columns, body, foot)]


def _memory(size: Any) -> Cell:
    return Cell(_gibibytes(size), order=float(size)) if size else Cell()


def _gibibytes(size: Any) -> str:
    return f"{size / 2**30:.2f} GiB" if size else DASH


def reproduce(run: Mapping[str, Any]) -> list[Part]:
    """The command, the config as `--set` spells it, library versions and checksums."""
    parts = [Part("command", {"text": run["command"]})] if run.get("command") else []
    for title, values in (
        ("Config", run.get("config")),
        ("Library versions", run.get("versions")),
        ("SHA-256 of the data files", (run.get("source") or {}).get("sha256")),
    ):
        if values:
            parts.append(Part("settings", {"title": title, "values": list(flatten(values))}))
    where = (
        "The figures of this page as data: results.json, and tables/ as CSV and LaTeX; its"
        " pictures: figures/."
    )
    return [*parts, paragraph(where)]


def flatten(config: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yields ("section.key", value) of a nested dict, as `--set` would spell it."""
    if isinstance(config, dict) and config:
        for key, value in config.items():
            yield from flatten(value, f"{prefix}.{key}" if prefix else str(key))
    else:
        yield prefix, config
