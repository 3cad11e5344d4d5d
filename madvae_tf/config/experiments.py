"""The sections of the paper's further experiments; every one is off or nearly free by default."""

from dataclasses import dataclass

from madvae_tf.config.fields import check, require

SUBSTITUTES = ("A", "B", "C", "D", "E")


@dataclass(frozen=True)
class BaselinesConfig:
    """Other defences in the tables beside the variants (sections 3.4, 4, A.2, A.6). Defaults are their authors', but for
    adversarial training, whose authors give no size for this classifier.

    `names` are those of `madvae_tf.defenses.DEFENSES`. `identity_epochs` run over all clean training images,
    `defense_vae_epochs` over the attacked pairs. `gan_steps` and `gan_restarts` are
    Defense-GAN's L and R; `gan_images` is how many images of each test set it purifies (0 = all): it is slow. `time`: whether the
    time per image of every defence is measured.
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
            positive="blur_sigma identity_epochs defense_vae_epochs finetune_epochs "
            "adversarial_fgsm_epochs adversarial_pgd_epochs adversarial_steps adversarial_step_size magnet_epochs magnet_learning_rate "
            "gan_iterations gan_width gan_critic_steps gan_learning_rate gan_steps gan_restarts",
            not_negative="magnet_drop_rate gan_images",
        )
        require(self.magnet_drop_rate < 1, "baselines.magnet_drop_rate", self.magnet_drop_rate, "below 1")
        require(len(set(self.names)) == len(self.names), "baselines.names", self.names, "each one once")


@dataclass(frozen=True)
class BlackBoxConfig:
    """Table 3: FGSM from the substitutes of Table 7, under three protocols.

    `substitutes` are trained on all training images, A to E for the five `epochs`. In the extraction protocol (Papernot et al. 2016) the attacker
    starts from `seed_images` held-out images and augments them `rounds` times by steps of `augmentation`;
    `extract` turns that protocol on.
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
            len(self.epochs) == len(SUBSTITUTES), "black_box.epochs", self.epochs, "five numbers, for A to E"
        )
        for name in self.substitutes:
            require(name in SUBSTITUTES, "black_box.substitutes", name, f"of {', '.join(SUBSTITUTES)}")
        require(
            len(set(self.substitutes)) == len(self.substitutes),
            "black_box.substitutes",
            self.substitutes,
            "each one once",
        )
        require(self.epsilon <= 1, "black_box.epsilon", self.epsilon, "at most 1, the range of a pixel")


@dataclass(frozen=True)
class ClustersConfig:
    """Figures 2-5 and 12-17: points in each picture (0 = no pictures), and k of the neighbour purity."""

    images: int = 0
    neighbors: int = 10

    def __post_init__(self) -> None:
        check(self, "clusters", positive="neighbors", not_negative="images")


@dataclass(frozen=True)
class ReferenceConfig:
    """What each setting of the reference code costs: the vanilla purifier trained anew with one setting changed.

    `settings` are names of `pipeline.settings.REFERENCE_SETTINGS`; all train `epochs` from nothing.
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
class TuneConfig:
    """The search for the weights of the combined loss, on validation images; 0 trials: none."""

    trials: int = 0
    images: int = 25_600

    def __post_init__(self) -> None:
        check(self, "tune", positive="images", not_negative="trials")
