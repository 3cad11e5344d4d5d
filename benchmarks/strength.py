"""Somebody else's AutoAttack on our systems: torchattacks (PyTorch) on the same weights and images,
beside ours.

    python -m benchmarks.strength --workdir=runs/published --system=robust --images=50
    python -m benchmarks.strength --workdir=runs/published --system=classifier --epsilon=0.1 --images=200

Test images of the pipeline's robustness stages, evenly spaced. APGD-CE, APGD-T, FAB-T and Square
with the standard numbers, each on what the former left, L-infinity. Before anything is attacked,
both frameworks must give the same logits. Needs the peers' environment (`make
.venv-peers/.installed`).
"""  # noqa: E501

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.material import entries_of
from benchmarks.questions.attacks import check_logits
from benchmarks.system import attacked_test_images, load_system, make_parser
from benchmarks.worker import Worker
from madvae_tf.utils import console
from madvae_tf.utils.errors import UserError

ATTACKS = ("apgd_ce", "apgd_t", "fab_t", "square")
_BATCH = 50


def purifier_weights(purifier: Any) -> dict[str, np.ndarray]:
    """What `benchmarks.workers.torch_strength.purifier_with` reads: normalisation as it is, folded
    into nothing.
    """
    found: dict[str, Any] = {
        "squash": (
            np.zeros(2)
            if purifier.squash is None
            else np.array([float(purifier.squash.scale), float(purifier.squash.center)])
        ),
        "p.mean.kernel": purifier.mean_head.kernel,
        "p.mean.bias": purifier.mean_head.bias,
    }
    for name in ("encoder", "decoder"):
        number = 0
        for layer in getattr(purifier, name).layers:
            if hasattr(layer, "moving_mean"):
                own = {
                    "gamma": layer.gamma,
                    "beta": layer.beta,
                    "mean": layer.moving_mean,
                    "variance": layer.moving_variance,
                }
                found |= {f"p.{name}.{number}.{key}": value for key, value in own.items()}
                found[f"p.{name}.{number}.epsilon"] = np.float64(layer.epsilon)
                number += 1
            elif hasattr(layer, "kernel"):
                prefix = "p.dense" if layer.kernel.ndim == 2 else f"p.{name}.{number}"
                found[f"{prefix}.kernel"] = layer.kernel
                if layer.bias is not None:
                    found[f"{prefix}.bias"] = layer.bias
    return {key: np.asarray(value) for key, value in found.items()}


def theirs(
    material: dict[str, np.ndarray], ours: np.ndarray, attacks: list[str], seed: int, arguments: Any
) -> Iterator[tuple[str, np.ndarray]]:
    """Each attack and bool (n,), right after it and all before it, as soon as it is done.

    Raises:
        ValueError: both frameworks give different logits.
        WorkerError: an attack failed, or left its budget.
    """
    with (
        tempfile.TemporaryDirectory() as folder,
        Worker(arguments.peers, "benchmarks.workers.torch_strength") as worker,
    ):
        path = Path(folder) / "material.npz"
        np.savez(path, **material)
        worker.call("load", material=str(path), threads=arguments.threads)
        check_logits(ours.tolist(), worker.call("logits", count=len(ours)))
        right = ours.argmax(axis=1) == material["labels"]
        for name in attacks:
            rows = np.flatnonzero(right)
            common = {"epsilon": arguments.epsilon, "seed": seed, "batch": _BATCH}
            right[rows] = worker.call("attack", name=name, rows=rows.tolist(), **common)
            yield name, right.copy()


def main(arguments: argparse.Namespace) -> None:
    """Prints what each leaves after each attack, with 95% Wilson intervals, and how many images
    they disagree on.
    """
    from madvae_tf.evaluation import auto_attack, evaluate
    from madvae_tf.evaluation.intervals import wilson_interval

    config, classifier, purifier, splits = load_system(arguments)
    images, labels, picked = attacked_test_images(config, splits, arguments.images)
    if arguments.system == "robust" and purifier.encoder_name != "table5":
        raise UserError(
            f"Invalid purifier: received the encoder {purifier.encoder_name}, expected table5,"
            " which PyTorch has here."
        )
    material = entries_of(getattr(classifier, "source", classifier).get_weights())
    if arguments.system == "robust":
        material |= purifier_weights(purifier)

    def system(x: Any) -> Any:
        return classifier(purifier.purify(x) if arguments.system == "robust" else x, training=False)

    logits = np.asarray(system(images))
    attacks = arguments.attacks.split(",")
    print(
        f"{arguments.system}, end to end, linf {arguments.epsilon:g}, n = {len(images)} test"
        f" images, seed {config.seed}"
    )
    if arguments.right:
        with np.load(arguments.right) as file:
            own = {name: file[name][picked] for name in attacks}
    else:
        found = evaluate(
            system, images, labels, [auto_attack("linf", arguments.epsilon)], seed=config.seed
        )
        own = {outcome.trial.label: outcome.right for outcome in found.outcomes}
    everything = {**material, "images": images, "labels": labels}
    for name, peer in theirs(everything, logits, attacks, config.seed, arguments):
        shown = []
        for title, right in (("ours", own[name]), ("torchattacks", peer)):
            low, high = wilson_interval(int(right.sum()), len(right))
            shown.append(f"{title} {right.mean():.4f} ({low:.4f}–{high:.4f})")
        alone = [int((~a & b).sum()) for a, b in ((own[name], peer), (peer, own[name]))]
        print(
            f"after {name}: {', '.join(shown)}; only ours fools {alone[0]}, only theirs {alone[1]}",
            flush=True,
        )


if __name__ == "__main__":
    console.quiet()
    parser = make_parser(__doc__, 50)
    parser.add_argument("--system", choices=("robust", "classifier"), default="robust")
    parser.add_argument("--epsilon", type=float, default=0.3)
    parser.add_argument("--attacks", default=",".join(ATTACKS), help="the first of them, in order")
    parser.add_argument(
        "--right", type=Path, help="right.npz of ours that is there already, of all images"
    )
    parser.add_argument("--peers", type=Path, default=Path(".venv-peers/bin/python"))
    parser.add_argument("--threads", type=int, default=1)
    main(parser.parse_args())
