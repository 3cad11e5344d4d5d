"""The run's facts -> HTML: what ran, on what data and machine, how long each stage took, how to repeat it.

Every key of `run` is optional; what is absent is left out.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from madvae_tf.report import markup, summary
from madvae_tf.report.markup import number, text
from madvae_tf.report.names import classifier_words
from madvae_tf.report.tables import Line, flatten


def run_facts(run: Mapping[str, Any], lines: Sequence[Line]) -> str:
    """Config, data and its source, sample, classifier, machine and version, as a definition list."""
    source = run.get("source") or {}
    classifier = run.get("classifier") or {}
    low, high = classifier.get("ci") or (None, None)
    accuracy = (
        f"{number(classifier.get('test_accuracy'))} {markup.interval(low, high)}"
        f"{markup.optional(classifier, 'n', ', n = {}')}"
    )
    facts = {
        "Config": text(run.get("name", "")),
        "Dataset": text(run.get("dataset", "")),
        "Classifier": text(classifier_words(run)[4:]) if run.get("config") else "",
        "Data source": f"{text(source.get('kind', ''))}: {text(source.get('detail', ''))}" if source else "",
        "Sample": summary.sample(lines),
        "Run seed": text(run.get("seed", "")),
        "Classifier’s test accuracy": accuracy if classifier else "",
        "Classifier’s validation accuracy": number(classifier.get("validation_accuracy"))
        if classifier.get("validation_accuracy") is not None
        else "",
        "Machine": ", ".join(_machine_fact(key, value) for key, value in (run.get("machine") or {}).items()),
        "Version": text(run.get("project_version", "")) + markup.optional(run, "commit", " (commit {})"),
    }
    return f'<dl class="facts">{"".join(f"<div><dt>{k}</dt><dd>{v}</dd></div>" for k, v in facts.items() if v)}</dl>'


def _machine_fact(key: str, value: Any) -> str:
    if key.endswith("_bytes"):
        return f"{text(key.removesuffix('_bytes').replace('_', ' '))} {_gibibytes(value)}"
    return f"{text(key.replace('_', ' '))} {text(value)}"


def stage_table(run: Mapping[str, Any]) -> str:
    """Seconds and peak memory of each stage, with a bar, their sum and the highest peak."""
    stages = run.get("stages") or []
    if not stages:
        return ""
    seconds = [float(stage.get("seconds") or 0.0) for stage in stages]
    peaks = [stage["peak_memory_bytes"] for stage in stages if stage.get("peak_memory_bytes")]
    longest = max(seconds) or 1.0
    body = [
        [
            text(stage.get("stage", "")),
            text(stage.get("instance") or ""),
            f"{spent:.1f}",
            f'<span class="bar" style="width:{100 * spent / longest:.1f}%"></span>',
            _gibibytes(stage.get("peak_memory_bytes")),
        ]
        for stage, spent in zip(stages, seconds, strict=True)
    ]
    total = sum(seconds)
    minutes, rest = divmod(round(total), 60)
    foot = (
        f'<tr><th scope="row">Sum</th><td>{minutes} min {rest} s</td><td>{total:.1f}</td><td></td>'
        f"<td>{_gibibytes(max(peaks, default=None))} at most</td></tr>"
    )
    head = ["Stage", "Instance", "Seconds", "Beside the longest", "Peak memory"]
    return markup.table(
        "stages",
        "<b>Stages of the pipeline.</b> Wall time and peak memory of each as it was built.",
        head,
        body,
        foot,
    )


def _gibibytes(size: Any) -> str:
    return f"{size / 2**30:.2f} GiB" if size else markup.DASH


def warning_list(warnings: Sequence[Any]) -> str:
    """Every warning, or the sentence that there is none."""
    if not warnings:
        return "<p>None: no check of this run found anything to warn of.</p>"
    return f'<div class="warn"><ul>{"".join(f"<li>{text(warning)}</li>" for warning in warnings)}</ul></div>'


def reproduce(run: Mapping[str, Any]) -> str:
    """The command, the config as `--set` spells it, library versions and checksums."""
    parts = []
    if run.get("command"):
        parts.append(f"<p>The command:</p><pre>{text(run['command'])}</pre>")
    for title, values in (
        ("Config", run.get("config")),
        ("Library versions", run.get("versions")),
        ("SHA-256 of the data files", (run.get("source") or {}).get("sha256")),
    ):
        if values:
            items = "".join(
                f"<li><b>{text(key)}</b> <code>{text(value)}</code></li>" for key, value in flatten(values)
            )
            parts.append(f'<h3>{title}</h3><ul class="config">{items}</ul>')
    parts.append(
        "<p>The figures of this page as data: <code>results.json</code>; its pictures: <code>figures/</code>.</p>"
    )
    return "".join(parts)
