"""`evaluate`: how many images any callable still classifies right under suites of attacks, in float32, resumable."""

import dataclasses
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from madvae_tf.answers import are_probabilities
from madvae_tf.attacks import Attack, Target, fold_seed, run_attack
from madvae_tf.attacks.repeated import runs_of
from madvae_tf.errors import UserError
from madvae_tf.images import NUM_CLASSES, check_images, check_labels
from madvae_tf.oblivious import batched, wilson_interval
from madvae_tf.progress import progress_bar, silent
from madvae_tf.robustness.store import Progress, TrialFile, fingerprint, trial_key
from madvae_tf.robustness.suites import QUERY_ATTACKS, Suite, Trial, auto_attack
from madvae_tf.robustness.telltale import said, slopes
from madvae_tf.robustness.threads import at_once, in_order

_WORTH_CUTTING = 32


@dataclasses.dataclass(frozen=True, eq=False)
class Outcome:
    """What a trial left.

    Attributes:
        suite, trial: which.
        right: bool (n,), classified right after it; in a sequential suite after it and all before it.
        left: for each of its runs (restarts, targets), how many were right after it.
        attacked: bool (n,), the images that it was tried on; None: all.
    """

    suite: Suite
    trial: Trial
    right: np.ndarray
    left: tuple[int, ...]
    attacked: np.ndarray | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class Evaluation:
    """Who survived what.

    Attributes:
        clean: bool (n,), classified right without an attack.
        outcomes: of every trial, in order.
    """

    clean: np.ndarray
    outcomes: tuple[Outcome, ...]

    def right(self, name: str) -> np.ndarray:
        """Bool (n,): right after the suite or the trial of this name.

        Raises:
            UserError: there is none.
        """
        found = [o.right for o in self.outcomes if name in (o.suite.name, o.trial.label)]
        if not found:
            known = dict.fromkeys(n for o in self.outcomes for n in (o.suite.name, o.trial.label))
            raise UserError(f"Unknown suite or trial {name!r}. Expected one of: {', '.join(known)}.")
        return np.logical_and.reduce(found)

    @property
    def worst(self) -> np.ndarray:
        """Bool (n,): right whatever was done to the image."""
        return np.logical_and.reduce([self.clean, *(outcome.right for outcome in self.outcomes)])

    def summary(self) -> str:
        """A line for each trial, and for the worst case: accuracy, its 95% Wilson interval and n."""
        lines = [("no attack", self.clean)]
        lines += [(f"{o.suite.name}: {o.trial.label}", o.right) for o in self.outcomes]
        lines.append(("worst case", self.worst))
        shown = []
        for title, right in lines:
            low, high = wilson_interval(int(right.sum()), len(right))
            shown.append(f"{title:40s} {right.mean():.4f} [{low:.4f}, {high:.4f}] n = {len(right)}")
        return "\n".join(shown)


def evaluate(
    logits_fn: Callable[[tf.Tensor], tf.Tensor],
    images: np.ndarray,
    labels: np.ndarray,
    suites: Sequence[Suite] | None = None,
    *,
    target: Target | None = None,
    targets: Mapping[str, Target] | None = None,
    seed: int = 0,
    batch_size: int = 100,
    folder: Path | str | None = None,
    progress: bool = True,
) -> Evaluation:
    """Attacks a system and says which images it still classifies right.

    Runs of one attack (restarts, target classes) go to the images that are still right, gathered from all batches. An image
    that is wrong without an attack counts as lost to every attack.

    Args:
        logits_fn: the defended system: float32 images (batch, 28, 28, 1) in [0, 1] -> float32 logits (batch, 10). A Keras model,
            a function of a SavedModel, anything that TensorFlow can trace; attacks but Square need its gradient. What is attacked must compute in float32
            throughout; a system in bfloat16 can be judged by what fools it where `target` is the same in float32.
        images, labels: float (n, 28, 28, 1) in [0, 1], and integers (n,).
        suites: what to attack with; the AutoAttack standard set at L-infinity 0.3 by default.
        target: what the attacker attacks, if that is not the system (`target_of`); its images are then shown to the system.
        targets: further targets by the gradient that a trial names: "identity" (`straight_through`), "straight"
            (`Defended.straight`), "expectation" (`expectation`), "latent" (`latent_matching`).
        seed: of every random draw.
        batch_size: images at a time.
        folder: keeps what each trial has found, batch by batch; the same call goes on from there. A file is known by the
            attack, its parameters, the seed, the images and labels, by what both models say of the first images and by the attacked one's
            gradient there, up to rounding: it goes on on another machine, too.
        progress: whether a bar is shown.

    Raises:
        UserError: invalid images or labels, no images, logits of another shape or type or not finite, probabilities in their place, an attacked model that
            computes in bfloat16 or float16, a gradient without a target, two trials of one name, or a damaged file.
    """
    images, labels = _checked(images, labels)
    suites = [auto_attack()] if suites is None else list(suites)
    known = {"exact": target or Target(logits_fn), **(targets or {})}
    _check_trials(suites, known)
    own = known["exact"].logits is logits_fn
    system = tf.function(logits_fn)
    clean_logits = _clean_logits(system, images, batch_size)
    clean = clean_logits.argmax(axis=1) == labels
    shared = {
        "seed": seed,
        "batch_size": batch_size,
        "images": fingerprint(images, labels),
    }
    outcomes = []
    answers = {
        name: said(known[name], images, batch_size)
        for name in dict.fromkeys(trial.gradient for suite in suites for trial in suite.trials)
    }
    # What asks for values and labels alone may ask a system that has no gradient.
    followed = {t.gradient for suite in suites for t in suite.trials if t.attack.name not in QUERY_ATTACKS}
    climbs = {} if folder is None else {name: slopes(known[name], images, labels) for name in followed}
    total = sum(len(runs_of(trial.attack)) for suite in suites for trial in suite.trials) * len(images)
    with silent(not progress), progress_bar(total, "robustness", "image") as bar:
        for suite in suites:
            before = clean
            for trial in suite.trials:
                attacked = known[trial.gradient]
                trial = _to_the_end(trial, own)
                facts = {
                    **shared,
                    "suite": suite.name,
                    "trial": trial.label,
                    "attack": trial.attack.name,
                    "parameters": trial.attack.parameters,
                    "gradient": trial.gradient,
                    "before": fingerprint(before),
                }
                both = np.concatenate([clean_logits[:batch_size], answers[trial.gradient]])
                file = TrialFile(
                    None if folder is None else Path(folder),
                    trial.label,
                    trial_key(facts),
                    both,
                    # Not of a query attack: its file would depend on which suites share the call.
                    None if trial.attack.name in QUERY_ATTACKS else climbs.get(trial.gradient),
                )
                state = _run_trial(
                    trial, attacked, system, images, labels, before, seed, batch_size, file, bar
                )
                outcomes.append(Outcome(suite, trial, state.right, tuple(int(n) for n in state.left)))
                before = state.right if suite.sequential else clean
    return Evaluation(clean, tuple(outcomes))


def _to_the_end(trial: Trial, own: bool) -> Trial:
    """An attack on something other than the system goes on after its first success there, which need not be one here.

    Args:
        own: whether the attacker has the system itself; what is attacked around a gradient of it says what it says.
    """
    if own and trial.gradient in ("exact", "identity", "straight"):
        return trial
    if not getattr(trial.attack, "early", False):
        return trial
    changed: Any = {"early": False}
    return dataclasses.replace(trial, attack=dataclasses.replace(trial.attack, **changed))


def _run_trial(
    trial: Trial,
    attacked: Target,
    system: Callable[[tf.Tensor], tf.Tensor],
    images: np.ndarray,
    labels: np.ndarray,
    before: np.ndarray,
    seed: int,
    batch_size: int,
    file: TrialFile,
    bar: Any,
) -> Progress:
    """The trial on the images that are right `before` it."""
    n = len(images)
    state = file.load(n) or Progress(before.copy(), np.zeros(n, bool), np.zeros(0, np.int64))
    runs = runs_of(trial.attack)
    drawn = fold_seed((seed, zlib.crc32(trial.label.encode())))
    bar.update(len(state.left) * n + int(state.visited.sum()))
    for number in range(len(state.left), len(runs)):
        # Chunks of the images still right; those visited before a stop were whole chunks of the same row.
        waiting = np.flatnonzero(state.right & ~state.visited)
        bar.update(n - len(waiting) - int(state.visited.sum()))
        chunks = [waiting[start : start + batch_size] for start in range(0, len(waiting), batch_size)]

        def right_after(rows: np.ndarray, attack: Attack = runs[number]) -> tuple[np.ndarray, np.ndarray]:
            # A run of a repeated attack folds its own number in; an attack without runs has one.
            size = _padded(len(rows), batch_size)
            found = run_attack(attack, attacked, images[rows], labels[rows], drawn, size)
            return rows, batched(system, found.x_adv, batch_size).argmax(axis=1) == labels[rows]

        for rows, right in in_order(right_after, chunks, at_once()):
            state.right[rows] = right
            state.visited[rows] = True
            file.save(state)
            bar.update(len(rows))
        state.left = np.append(state.left, state.right.sum())
        state.visited[:] = False
        file.save(state)
    return state


def _padded(count: int, batch_size: int) -> int:
    """What a chunk is padded to: the batch size, or a quarter of it where that is enough.

    Few images are left of a defence that falls; a full batch of their copies would cost what a full batch costs. Small batches are not worth
    compiling once more.
    """
    quarter = -(-batch_size // 4)
    return quarter if count <= quarter and batch_size >= _WORTH_CUTTING else batch_size


def _checked(images: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    images = check_images(images)
    if not len(images):
        raise UserError("Invalid images: received none, expected at least one.")
    return images, check_labels(labels, len(images))


def _check_trials(suites: Sequence[Suite], known: Mapping[str, Target]) -> None:
    names = [(suite.name, trial.label) for suite in suites for trial in suite.trials]
    if len(set(names)) < len(names):
        raise UserError(
            f"Invalid suites: received {names}, expected every trial of a suite under a name of its own."
        )
    for suite in suites:
        for trial in suite.trials:
            if trial.gradient not in known:
                raise UserError(
                    f"Invalid targets: {trial.label} asks for the gradient {trial.gradient!r}, received targets for "
                    f"{', '.join(known)}; give targets={{{trial.gradient!r}: ...}}."
                )


def _clean_logits(
    system: Callable[[tf.Tensor], tf.Tensor], images: np.ndarray, batch_size: int
) -> np.ndarray:
    logits = batched(system, images, batch_size)
    if logits.dtype != np.float32 or logits.shape != (len(images), NUM_CLASSES):
        raise UserError(
            f"Invalid logits: received {logits.dtype} of shape {logits.shape}, expected float32 of shape "
            f"({len(images)}, {NUM_CLASSES}); robustness is computed in float32."
        )
    if not np.isfinite(logits).all():
        raise UserError(
            "Invalid logits: received NaN or infinite ones for clean images, expected finite ones."
        )
    if are_probabilities(logits):
        raise UserError(
            "Invalid logits: received probabilities (every row sums to 1), whose gradients vanish where the system is sure, so that it looks robust; "
            "give what comes before the softmax, or madvae_tf.models.foreign.adapt(logits_fn, images[:8]), which takes their logarithm."
        )
    return logits
