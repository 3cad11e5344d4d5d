"""What the graph's parts share: the stages that everything hangs on, and how a training or an
evaluation hangs on them.
"""

import dataclasses
from typing import Any

from madvae_tf.config import Config, plain
from madvae_tf.config.defenses import parts_of, purifier_parameters
from madvae_tf.utils.precision import resolve_precision
from pipeline import steps
from pipeline.engine.channels import members
from pipeline.engine.plan import Stage
from pipeline.graph import costs


def own_fields(section: Any, *names: str) -> dict[str, Any]:
    """The fields `names` of a section of the configuration (all without names), as a dict."""
    values = plain(section)
    return {name: values[name] for name in names} if names else values


@dataclasses.dataclass
class MainStages:
    """The main job's stages.

    Attributes:
        config: the configuration.
        common: what every stage on this data set is told: dataset, validation_images, seed.
        base: {"data", "classifier"}.
        learned: the adversarial sets of the channels "train" and "validation".
        tests: those of the channel "set", by attack.
        pairs: training pairs in all.
        train_images: clean training images in all.
        warmups: seed -> the warm-up that the variants of that seed share.
        vaes: instance -> (variant, seed, stage); the instance is the variant's name for the
            configuration's own seed.
    """

    config: Config
    common: dict[str, Any]
    base: dict[str, Stage]
    learned: dict[str, Stage]
    tests: dict[str, Stage]
    pairs: int
    train_images: int
    warmups: dict[int, Stage] = dataclasses.field(default_factory=dict)
    vaes: dict[str, tuple[str, int, Stage]] = dataclasses.field(default_factory=dict)

    @property
    def data(self) -> Stage:
        """The data set."""
        return self.base["data"]

    @property
    def classifier(self) -> Stage:
        """The classifier under attack."""
        return self.base["classifier"]

    @property
    def classifier_name(self) -> str:
        """Its name in `CLASSIFIERS`; "" for one of the user's own."""
        return "" if self.config.classifier.path else self.config.classifier.name

    def evaluation(
        self,
        instance: str,
        defense: str,
        trained: Stage | None = None,
        table: str = "table1",
        images: int = 0,
        details: bool = False,
        seed: int | None = None,
        note: dict[str, Any] | None = None,
        cost: float = 0.0,
    ) -> Stage:
        """The stage that measures one defence on every test set.

        Args:
            defense: a name of `DEFENSES`, or "none".
            trained: the stage that trained it.
            table: the table of its rows.
            images: how many images of each set, evenly spaced (0 = all).
            details: whether confusion matrices and pictures are made, too.
            seed: the one that it was trained with; the configuration's by default.
            note: joins the parameters of every row.
            cost: in seconds; 0: that of a VAE, or of what costs no more than the classifier.
        """
        own = {
            **self.common,
            **own_fields(self.config.evaluate),
            "defense": defense,
            "parameters": {} if trained is None else trained.config["parameters"],
            "table": table,
            "images": images,
            "details": details or trained is None,
            "row_seed": self.config.seed if seed is None else seed,
            "note": note or {},
        }
        inputs = {**self.base, **self.tests, **({} if trained is None else {"defense": trained})}
        # 0 is all of them: about as many as MNIST has.
        wanted = [
            (images or 10_000, stage.config["images"] or 10_000) for stage in self.tests.values()
        ]
        seen = sum(map(min, wanted))
        cost = cost or costs.evaluation_seconds(seen, "sample" in parts_of(defense))
        # The third version has the probabilities of the pictures and TensorBoard's files, which
        # only detailed ones make.
        version = 3 if own["details"] else 2
        return Stage("evaluate", instance, version, own, inputs, steps.evaluate_defense, cost=cost)


def train_stage(
    main: MainStages,
    kind: str,
    instance: str,
    defense: str,
    parameters: dict[str, Any],
    inputs: dict[str, Stage],
    cost: float,
    seed: int | None = None,
) -> Stage:
    """The stage that trains one row of `DEFENSES`; it learns from the adversarial sets among
    `inputs`, if there are any.

    `seed`: another than the configuration's, of rows whose `parameters` have none.
    """
    config = main.config
    own = {
        **main.common,
        **({} if seed is None else {"seed": seed}),
        "defense": defense,
        "parameters": parameters,
        "classifier": main.classifier_name,
        "precision": resolve_precision(config.vae.precision),
        "pairs": bool(members(inputs, "train")),
    }
    version = version_in(own["precision"])
    return Stage(kind, instance, version, own, inputs, steps.train_defense, cost=cost)


def named(main: MainStages, name: str, seed: int) -> str:
    """The instance of what is trained with `seed`: the name alone for the configuration's own."""
    return name if seed == main.config.seed else f"{name}-seed{seed}"


def warmup_stage(main: MainStages, seed: int) -> Stage:
    """The vanilla purifier, at one learning rate throughout, that every variant of the seed goes on
    from; it joins `main.warmups`.
    """
    if seed not in main.warmups:
        vae = main.config.vae
        changes: dict[str, Any] = {
            "epochs": vae.warmup_epochs,
            "learning_rate": vae.warmup_learning_rate,
            "final_learning_rate": vae.warmup_learning_rate,
            "seed": seed,
        }
        parameters = purifier_parameters(vae, "vanilla", **changes)
        cost = costs.purifier_seconds(main.pairs, vae.warmup_epochs)
        inputs = main.base | main.learned
        main.warmups[seed] = train_stage(
            main, "vae", named(main, "warmup", seed), "vanilla", parameters, inputs, cost
        )
    return main.warmups[seed]


def version_in(precision: str) -> int:
    """Of a stage that computes with our models: in bfloat16 the second one rounds otherwise than
    the first (`models.convolutions`).
    """
    return 1 if precision == "float32" else 2
