"""`evaluate`: how many images a system still classifies right under suites of attacks, in float32,
resumable.
"""

import dataclasses
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from madvae_tf.attacks import DefendedModel
from madvae_tf.config.parameters import check_integers
from madvae_tf.evaluation.cost import UNKNOWN, Course, measured
from madvae_tf.evaluation.diagnostics import (
    FOLLOWING,
    LOOKED_AT,
    budget_warnings,
    data_warnings,
    evaluation_warnings,
    search_warnings,
    steadiness_warnings,
)
from madvae_tf.evaluation.gradients import gradients
from madvae_tf.evaluation.graph_check import optimises
from madvae_tf.evaluation.result import Evaluation, Outcome
from madvae_tf.evaluation.steadiness import (
    RANDOM,
    mean_of_draws,
    robust_in_all,
    steadiness,
)
from madvae_tf.evaluation.suites import Suite, for_classes
from madvae_tf.evaluation.systems import system_of
from madvae_tf.evaluation.trial_files import TrialFiles, followed
from madvae_tf.evaluation.trials import TrialInputs, run_trial, to_the_end
from madvae_tf.evaluation.validation import check_trials, checked, clean_logits, suites_of
from madvae_tf.models.seeding import process_as_found
from madvae_tf.utils.budgets import usual_budget
from madvae_tf.utils.forks import check_process
from madvae_tf.utils.labels import check_classes
from madvae_tf.utils.progress import is_silent, silent


@process_as_found()
def evaluate(
    model: Any,
    images: Any,
    labels: Any = None,
    suites: Sequence[Suite] | Suite | None = None,
    *,
    threat: Any = None,
    preset: str | None = None,
    target: DefendedModel | None = None,
    targets: Mapping[str, DefendedModel] | None = None,
    threat_model: str | None = None,
    seed: int = 0,
    batch_size: int = 100,
    folder: Path | str | None = None,
    keep_images: bool = False,
    draws: int = 1,
    repeats: int = 1,
    preprocessing: Any = None,
    progress: bool | str = True,
) -> Evaluation:
    """Attacks a system and says which images it still classifies right.

    Runs of one attack (restarts, target classes) go to the images that are still right, gathered
    from all batches. An image that is wrong without an attack counts as lost to every attack.

    Args:
        model: the whole system: what `madvae_tf.fit` or `madvae_tf.load` gives; a Keras model,
            which is called for inference and whose logits are taken where it ends in a softmax; the
            path of a SavedModel's folder or of a `.keras` file; or a function of TensorFlow,
            float32 images (batch, 28, 28, 1) in [0, 1] -> float32 logits or probabilities (batch,
            classes), or (batch, 1) of a single sigmoid. Attacks but the query attacks need its
            gradient. What is attacked must compute in float32 throughout; a system in bfloat16 can
            be judged by what fools it where `target` is the same in float32.
        images: uint8 in [0, 255] or floating point in [0, 1], (n, 28, 28, 1), (n, 28, 28) or of
            another shape that `fit` takes; or images with labels: a `tf.data.Dataset`, a
            `keras.utils.PyDataset`, what `read_dataset` gives. They are held as float32 in memory.
        labels: integers or whole numbers (n,) or (n, 1), or one-hot (n, classes): the true classes;
            None where the images have theirs.
        suites: what to attack with, in place of `threat` and `preset`.
        threat: norm and budget, such as "linf:0.3", "linf:8/255" or "l2:1.5" (`threat_of`); by
            default what a `FittedDefense` was made for, else what is usual for such images:
            "linf:0.3" where they are nearly black and white like MNIST's, "linf:0.1" of other grey
            ones, "linf:8/255" of colours; `Evaluation.notes` then says which.
        preset: "fast" (about a minute for 100 MNIST images on two cores) or "standard" (AutoAttack
            standard), the default.
        target: what the attacker attacks, if that is not the system (`target_of`); its images are
            then shown to the system.
        targets: further targets by the gradient that a trial names: "identity"
            (`straight_through`), "straight_through" (`DefendedModel.straight_through`),
            "expectation" (`expectation`), "latent" (`latent_matching`).
        threat_model: what the figures say that the attacker knew: end_to_end by default, transfer
            where there is a `target`.
        seed: of every random draw.
        batch_size: images at a time.
        folder: keeps what each trial has found, batch by batch; the same call goes on from there. A
            file is known by the attack, its parameters, the seed, the images and labels, by what
            both models say of the first images and by the attacked one's gradient there, up to
            rounding: it goes on on another machine, too. A system that draws is known by its
            operations and weights.
        keep_images: whether the images that fooled the system are kept: `Evaluation.x_adv`.
        draws: for a system that draws: attacks follow the mean of its logits over so many draws
            (EOT; Athalye et al. 2018, section 4.2).
        repeats: for a system that draws: how often it is asked of an image, which counts as right
            where it is right each time.
        preprocessing: what a model, a file or a function wants in place of images in [0, 1]:
            "0..255", "-1..1", a pair (mean, std), "channels_first" or a function
            (`madvae_tf.models.preprocessing`); budgets stay those of images in [0, 1].
        progress: True: a line says what the call will cost at most, from the measured speed of the
            model, and a bar counts attack by attack; "bar": the bar alone; False: neither.

    Raises:
        UserError: invalid images or labels, no images, an invalid threat or preset, a model that is
            none of these, logits of another shape or type or not finite, an attacked model that
            computes in bfloat16 or float16, a gradient without a target, two trials of one name, or
            a damaged file.
    """
    check_process()
    started = time.monotonic()
    images, labels = checked(images, labels)
    check_integers(
        {
            "batch_size": (batch_size, 1),
            "draws": (draws, 1),
            "repeats": (repeats, 1),
            "seed": (seed, 0),
        }
    )
    seed, batch_size, draws, repeats = map(int, (seed, batch_size, draws, repeats))
    folder = None if folder is None else Path(folder).expanduser()
    system = system_of(model, images, preprocessing)
    known = {"exact": target or system.target, **system.targets, **(targets or {})}
    usual = usual_budget(images)
    suites, chosen = suites_of(suites, threat, preset, known, system.threat, usual)
    check_trials(suites, known)
    logits_fn = system.target.logits
    own = known["exact"].logits is logits_fn
    judge = tf.function(logits_fn)
    first = clean_logits(judge, images, batch_size)
    classes = first.shape[1]
    check_classes(labels, classes)
    fitted = [for_classes(suite, classes) for suite in suites]
    suites = [suite for suite, _ in fitted]
    steady = steadiness(judge, images, batch_size, first)
    clean = first.argmax(axis=1) == labels
    if repeats > 1:
        clean &= robust_in_all(judge, images, labels, batch_size, repeats - 1)
    known = {name: mean_of_draws(each, draws) for name, each in known.items()}
    given = TrialInputs(judge, images, labels, seed, batch_size, keep_images, repeats)
    # What is right of one draw or of the mean of some need not be of another one.
    suites = [_to_the_end(suite, own and draws == 1) for suite in suites]
    trials = [trial for suite in suites for trial in suite.trials]
    files = TrialFiles(folder, trials, known, given, first, system.target, steady == RANDOM, draws)
    outcomes: list[Outcome] = []
    with (
        silent(not progress),
        _course(suites, known, given, clean, progress is True) as course,
    ):
        for suite in suites:
            before = clean
            for trial in suite.trials:
                file = files.of(trial, before)
                course.begin(len(outcomes))
                state = run_trial(trial, known[trial.gradient], given, before, file, course.advance)
                outcomes.append(
                    Outcome(
                        suite,
                        trial,
                        state.robust,
                        tuple(int(n) for n in state.n_robust),
                        x_adv=state.x_adv,
                        unchanged=state.unchanged,
                    )
                )
                before = state.robust if suite.sequential else clean
    found = Evaluation(
        clean,
        tuple(outcomes),
        classes=classes,
        threat_model=threat_model or ("end_to_end" if own else "transfer"),
        model=system.name,
        seed=seed,
        seconds=time.monotonic() - started,
    )
    warnings = (
        *system.notes,
        *data_warnings(images, labels, classes),
        *budget_warnings(found, usual),
        *(note for _, notes in fitted for note in notes),
        *steadiness_warnings(steady, draws, repeats),
        *search_warnings(optimises(_traced(judge, images, batch_size))),
        *evaluation_warnings(found, _vanished(known, given, found)),
    )
    return dataclasses.replace(found, warnings=warnings, notes=(chosen,) if chosen else ())


def _traced(judge: Any, images: np.ndarray, batch_size: int) -> Any:
    return judge.get_concrete_function(tf.TensorSpec((batch_size, *images.shape[1:]), tf.float32))


def _vanished(
    known: Mapping[str, DefendedModel], given: TrialInputs, found: Evaluation
) -> dict[str, np.ndarray]:
    """The gradient's size at the first images that are right, float64 (at most `LOOKED_AT`,), of
    each gradient that an attack followed.
    """
    rows = np.flatnonzero(found.clean)[:LOOKED_AT]
    names = dict.fromkeys(
        o.trial.gradient for o in found.outcomes if o.trial.attack.name in FOLLOWING
    )
    if not len(rows):
        return {}
    return {
        name: gradients(known[name], given.images[rows], given.labels[rows], len(rows))[0]
        for name in names
    }


def _to_the_end(suite: Suite, own: bool) -> Suite:
    trials = tuple(to_the_end(trial, own) for trial in suite.trials)
    return suite if trials == suite.trials else dataclasses.replace(suite, trials=trials)


def _course(
    suites: Sequence[Suite],
    known: Mapping[str, DefendedModel],
    given: TrialInputs,
    clean: np.ndarray,
    announced: bool,
) -> Course:
    """The way through all trials; with `announced`, at speeds that are measured now."""
    trials = [trial for suite in suites for trial in suite.trials]
    names = dict.fromkeys(trial.gradient for trial in trials)
    speeds = dict.fromkeys(names, UNKNOWN)
    announced = announced and bool(names) and not is_silent()
    if announced:
        about = (given.images, given.labels, given.batch_size)
        speeds = {name: measured(known[name], *about, name in followed(trials)) for name in names}
    return Course(suites, speeds, clean, given.batch_size, announced)
