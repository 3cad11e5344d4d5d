"""The stage that measures what a defence costs a user: milliseconds per image, at batch 1 and 256."""  # noqa: E501

import time
from typing import Any

from madvae_tf.utils.files import write_json
from pipeline.engine.plan import Context
from pipeline.steps.common import load_classifier, splits_of, start_anew

# A defence is timed in at most so many rounds, and in no further one once it has taken so many
# seconds.
ROUNDS = 9
SECONDS = 20.0


def time_defenses(context: Context) -> None:
    """Every defence in one process, in turns, so that a noisy moment of the machine meets all of
    them: `rows.json`.
    """
    import numpy as np
    import tensorflow as tf

    from madvae_tf.data.prepare import to_float
    from madvae_tf.defenses import DEFENSES
    from madvae_tf.utils.progress import progress_bar

    start_anew(context)
    settings = context.config
    images = to_float(splits_of(context)["test"].images[: max(settings["batches"])])
    classifier = load_classifier(context.inputs["classifier"])
    systems: dict[str, Any] = {"none": tf.function(classifier)}
    for name, parameters in settings["defenses"].items():
        folder = context.channel("defense")[name]
        systems[name] = tf.function(DEFENSES[name](**parameters).load(folder, classifier).logits)
    rows = []
    with progress_bar(len(settings["batches"]) * (ROUNDS + 1), "time per image", "round") as bar:
        for batch in settings["batches"]:
            part = tf.constant(images[:batch])
            spent: dict[str, list[float]] = {name: [] for name in systems}
            # The first round compiles, and is not counted.
            for number in range(ROUNDS + 1):
                for name, system in systems.items():
                    if number > 1 and sum(spent[name]) > SECONDS:
                        continue
                    start = time.perf_counter()
                    system(part).numpy()
                    if number:
                        spent[name].append(time.perf_counter() - start)
                bar.update()
            for name, seconds in spent.items():
                rows.append(
                    {
                        "table": "time",
                        "dataset": settings["dataset"],
                        "attack": "none",
                        "parameters": {"batch": batch, "rounds": len(seconds)},
                        "threat_model": "oblivious",
                        "defense": name,
                        "metric": "ms_per_image",
                        "value": 1000 * float(np.median(seconds)) / batch,
                        "ci_low": None,
                        "ci_high": None,
                        "n": batch,
                        "seed": settings["seed"],
                        "paper": None,
                    }
                )
    write_json(context.folder / "rows.json", rows)
