"""The sections of the paper's further experiments; every one is off or nearly free by default."""

from dataclasses import dataclass

from madvae_tf.config.fields import added, check, require
from madvae_tf.utils.labels import MOST_CLASSES

SUBSTITUTES = ("A", "B", "C", "D", "E")
THREAT_MODELS = ("oblivious", "transfer", "end_to_end")
ROBUSTNESS_SUITES = (
    *("gradient", "bpda", "eot", "latent", "overpowered", "autoattack", "joint", "score"),
    *("decision", "one_pixel", "natural", "bpda_squash", "crossing"),
)
# What can be carried over from another target than the system itself: nobody is asked for what
# comes without an attacker.
CARRIED_SUITES = tuple(suite for suite in ROBUSTNESS_SUITES if suite != "natural")


@dataclass(frozen=True)
class BaselinesConfig:
    """Other defences in the tables beside the variants (sections 3.4, 4, A.2, A.6). Defaults are
    their authors', but for adversarial training, whose authors give no size for this classifier.

    `names` are those of `madvae_tf.defenses.DEFENSES`. `identity_epochs` run over all clean
    training images, `defense_vae_epochs` over the attacked pairs. `gan_steps` and `gan_restarts`
    are Defense-GAN's L and R; `gan_images` is how many images of each test set it purifies (0 =
    all): it is slow. `time`: whether the time per image of every defence is measured.
    """

    names: tuple[str, ...] = ("binarization", "blur")
    blur_sigma: float = 1.0
    identity_epochs: int = 5
    defense_vae_epochs: int = 5
    finetune_epochs: int = 2
    adversarial_fgsm_epochs: int = 10
    adversarial_pgd_epochs: int = 40
    adversarial_steps: int = 7
    adversarial_step_size: float = 0.1
    magnet_epochs: int = 100
    magnet_learning_rate: float = 1e-3
    magnet_drop_rate: float = 0.001
    gan_iterations: int = 200_000
    gan_width: int = 64
    gan_critic_steps: int = 5
    gan_learning_rate: float = 1e-4
    gan_steps: int = 200
    gan_restarts: int = 10
    gan_images: int = 0
    time: bool = False

    def __post_init__(self) -> None:
        check(
            self,
            "baselines",
            positive=(
                "blur_sigma identity_epochs defense_vae_epochs finetune_epochs"
                " adversarial_fgsm_epochs adversarial_pgd_epochs adversarial_steps"
                " adversarial_step_size magnet_epochs magnet_learning_rate gan_iterations gan_width"
                " gan_critic_steps gan_learning_rate gan_steps gan_restarts"
            ),
            not_negative="magnet_drop_rate gan_images",
        )
        require(
            self.magnet_drop_rate < 1,
            "baselines.magnet_drop_rate",
            self.magnet_drop_rate,
            "below 1",
        )
        require(
            len(set(self.names)) == len(self.names), "baselines.names", self.names, "each one once"
        )


@dataclass(frozen=True)
class BlackBoxConfig:
    """Table 3: FGSM from the substitutes of Table 7, under three protocols.

    `substitutes` are trained on all training images, A to E for the five `epochs`. In the
    extraction protocol (Papernot et al. 2016) the attacker starts from `seed_images` held-out
    images and augments them `rounds` times by steps of `augmentation`; `extract` turns that
    protocol on.
    """

    substitutes: tuple[str, ...] = ()
    epochs: tuple[int, ...] = (10, 10, 10, 20, 20)
    extract: bool = True
    seed_images: int = 150
    rounds: int = 6
    augmentation: float = 0.1
    extraction_epochs: int = 10
    extraction_learning_rate: float = 1e-3
    epsilon: float = 0.3

    def __post_init__(self) -> None:
        check(
            self,
            "black_box",
            positive="epochs seed_images augmentation extraction_epochs extraction_learning_rate",
            not_negative="rounds epsilon",
        )
        require(
            len(self.epochs) == len(SUBSTITUTES),
            "black_box.epochs",
            self.epochs,
            "five numbers, for A to E",
        )
        for name in self.substitutes:
            require(
                name in SUBSTITUTES, "black_box.substitutes", name, f"of {', '.join(SUBSTITUTES)}"
            )
        require(
            len(set(self.substitutes)) == len(self.substitutes),
            "black_box.substitutes",
            self.substitutes,
            "each one once",
        )
        require(
            self.epsilon <= 1, "black_box.epsilon", self.epsilon, "at most 1, the range of a pixel"
        )


@dataclass(frozen=True)
class ClustersConfig:
    """Figures 2-5 and 12-17: points in each picture (0 = no pictures), and k of the neighbour
    purity.
    """

    images: int = 0
    neighbors: int = 10

    def __post_init__(self) -> None:
        check(self, "clusters", positive="neighbors", not_negative="images")


@dataclass(frozen=True)
class ReferenceConfig:
    """What each setting of the reference code costs: the vanilla purifier trained anew with one
    setting changed.

    `settings` are names of `pipeline.graph.attack_sets.REFERENCE_SETTINGS`; all train `epochs` from
    nothing.
    """

    settings: tuple[str, ...] = ()
    epochs: int = 5

    def __post_init__(self) -> None:
        check(self, "reference", positive="epochs")
        require(
            len(set(self.settings)) == len(self.settings),
            "reference.settings",
            self.settings,
            "each one once",
        )


@dataclass(frozen=True)
class RobustnessConfig:
    """What defences are worth against attackers who know more; no `defenses`: off. Hours at the
    standard numbers.

    `defenses`: variants, baselines that the configuration has, and "none", the classifier alone;
    "variants" stands for all of `vae.variants`. `images` of the test set, drawn from all
    of it. `linf` and `l2`: budgets. `threat_models` and `suites` as in `madvae_tf.evaluation`;
    oblivious and transfer are for defences, transfer for those that are trained, whose surrogate is
    trained with `surrogate_seed`. `iterations`, `targets` and `queries` have AutoAttack's standard
    numbers; `restarts` are those of the gradient suites, `draws` those of EOT; `overpowered_*`
    those of that attack, which is for L2 budgets. `sanity_images`: how many the curves are measured
    on (0: none), in the first budget of `sanity_norm` (empty: of L-infinity, and where it has none,
    of L2). `decision_images` and `score_images` of them, evenly spaced, meet the suites that ask
    for labels or values only, with so many `*_queries` for an image. `joint_weights` are those of
    the reconstruction distance in the joint loss. `severities` are those of suite natural's
    corruptions, 1 to 5. `evasion_weights` are those of a detector's score, in units of what clean
    images score. `detection_images`: of each test set and under adaptive attacks, how many
    detectors are measured on (0: none). `eot_images` and `overpowered_images`, evenly spaced, meet
    those suites (0: all), which look many times at the system at each step.
    `carried_suites`: which of `suites` are also run by attackers who do not have the system: on a
    surrogate, and, where they ask for logits alone, on the classifier.
    `l2_suites` and `l2_threat_models`: those of `suites` and of `threat_models` that L2 budgets
    meet (empty: all), on `l2_images` images (0: `images`).
    `brief`: defences, of those in `defenses` or not, that meet those of `suites` that are in
    `brief_suites` only, and no detection: what a few attacks break. `brief_transfer_images`, evenly
    spaced, are how many of the images these meet from a surrogate (0: all), which takes longer than
    all attacks on what they break.
    """

    defenses: tuple[str, ...] = ()
    images: int = 1000
    linf: tuple[float, ...] = (0.3,)
    l2: tuple[float, ...] = ()
    threat_models: tuple[str, ...] = ("oblivious", "transfer", "end_to_end")
    suites: tuple[str, ...] = ("gradient", "bpda", "autoattack")
    iterations: int = 100
    restarts: int = 2
    targets: int = 9
    queries: int = 5000
    draws: int = 8
    overpowered_iterations: int = 200
    overpowered_restarts: int = 20
    surrogate_seed: int = 1
    sanity_images: int = 200
    batch_size: int = 100
    decision_images: int = added(100)
    decision_queries: int = added(20_000)
    score_images: int = added(100)
    score_queries: int = added(12_800)
    joint_weights: tuple[float, ...] = added((0.1, 1.0, -0.1))
    evasion_weights: tuple[float, ...] = added((0.1, 0.3, 1.0, 3.0, 10.0))
    severities: tuple[int, ...] = added((1, 3, 5))
    detection_images: int = added(0)
    eot_images: int = added(0)
    overpowered_images: int = added(0)
    carried_suites: tuple[str, ...] = added(("gradient",))
    l2_suites: tuple[str, ...] = added(())
    l2_threat_models: tuple[str, ...] = added(())
    l2_images: int = added(0)
    brief: tuple[str, ...] = added(())
    brief_suites: tuple[str, ...] = added(("gradient", "bpda", "overpowered", "autoattack"))
    brief_transfer_images: int = added(0)
    sanity_norm: str = added("")

    def __post_init__(self) -> None:
        check(
            self,
            "robustness",
            positive=(
                "images iterations restarts targets queries draws overpowered_iterations"
                " overpowered_restarts batch_size l2 decision_queries score_queries severities"
                " evasion_weights"
            ),
            not_negative=(
                "linf surrogate_seed sanity_images decision_images score_images detection_images"
                " eot_images overpowered_images l2_images brief_transfer_images"
            ),
        )
        require(
            all(severity <= 5 for severity in self.severities),
            "robustness.severities",
            self.severities,
            "of 1 to 5",
        )
        require(
            self.sanity_norm in ("", *(norm for norm in ("linf", "l2") if getattr(self, norm))),
            "robustness.sanity_norm",
            self.sanity_norm,
            "empty or a norm that has a budget, linf or l2",
        )
        require(
            self.score_queries >= 4, "robustness.score_queries", self.score_queries, "at least 4"
        )
        require(
            self.targets < MOST_CLASSES,
            "robustness.targets",
            self.targets,
            f"at most {MOST_CLASSES - 1}, the other classes",
        )
        require(
            all(epsilon <= 1 for epsilon in self.linf),
            "robustness.linf",
            self.linf,
            "at most 1, the range of a pixel",
        )
        unique = (
            "defenses",
            "linf",
            "l2",
            "threat_models",
            "suites",
            "joint_weights",
            "evasion_weights",
            "severities",
            "carried_suites",
            "l2_suites",
            "l2_threat_models",
            "brief",
            "brief_suites",
        )
        for field in unique:
            values = getattr(self, field)
            require(len(set(values)) == len(values), f"robustness.{field}", values, "each one once")
        for field, known in (
            ("threat_models", THREAT_MODELS),
            ("suites", ROBUSTNESS_SUITES),
            ("carried_suites", CARRIED_SUITES),
            ("l2_suites", ROBUSTNESS_SUITES),
            ("l2_threat_models", THREAT_MODELS),
            ("brief_suites", ROBUSTNESS_SUITES),
        ):
            for name in getattr(self, field):
                require(name in known, f"robustness.{field}", name, f"of {', '.join(known)}")


@dataclass(frozen=True)
class TuneConfig:
    """The search for the weights of the combined loss, on validation images; 0 trials: none."""

    trials: int = 0
    images: int = 25_600

    def __post_init__(self) -> None:
        check(self, "tune", positive="images", not_negative="trials")
