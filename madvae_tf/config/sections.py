"""The sections of the main job: data, classifier, adversarial sets, purifiers, evaluation.

Library code takes a section or plain values, never flags. Names of attacks, variants and data sets
are resolved where their registries are known, not here.
"""

from dataclasses import dataclass

from madvae_tf.config.fields import added, check, check_precision, require
from madvae_tf.utils.images import SIDES

REDUCTIONS = ("elbo", "mean", "sum")
LATENT_SCALES = ("log_variance", "linear")
OUTPUTS = ("auto", "logits", "probabilities")


@dataclass(frozen=True)
class DataConfig:
    """Which data set, and where it comes from.

    `name`: mnist or fashion_mnist, whose IDX files come from `path` or, without one, from the
    canonical host, then from a package mirror; a name of `data.catalogue` (cifar10, kmnist, ...) or
    "tfds:NAME", which TFDS fetches; or, with `path`, what data of
    your own are called, in one of the formats of `data.readers`.
    `image_size` and `channels` (1 or 3) are what pictures become, in files or in TFDS; 0: as they
    are.
    `image_width` is their width where they are not square; `image_size` is then the height.
    """

    name: str = "mnist"
    path: str = ""
    validation_images: int = 5000
    image_size: int = added(0)
    channels: int = added(0)
    image_width: int = added(0)

    def __post_init__(self) -> None:
        check(self, "data", positive="validation_images", not_negative="image_size channels")
        require(
            self.channels in (0, 1, 3),
            "data.channels",
            self.channels,
            "1 or 3, or 0 for the pictures' own",
        )
        for name in ("image_size", "image_width"):
            side = getattr(self, name)
            taken = side == 0 or side in SIDES
            expected = f"a number of pixels from {SIDES[0]} to {SIDES[-1]}, or 0"
            require(taken, f"data.{name}", side, expected)
        require(
            self.image_size > 0 or not self.image_width,
            "data.image_width",
            self.image_width,
            "0 without data.image_size, the height",
        )


@dataclass(frozen=True)
class ClassifierConfig:
    """The classifier under attack (Table 6). `train_images` 0 means all; `max_shift` is in pixels;
    `flip` mirrors half of the training images left to right.

    `path`: a `.keras` file or the folder of a SavedModel that stands in Table 6's place, as it is.
    `outputs` says what it gives: auto, logits or probabilities; `preprocessing` what it wants in
    place of images in [0, 1], like "0..255", "-1..1 channels_first" or "mean=0.13 std=0.31"
    (`models.preprocessing`). The other fields then serve the substitutes of Table 7 only.
    """

    name: str = "table6"
    train_images: int = 0
    epochs: int = 6
    batch_size: int = 128
    learning_rate: float = 2e-3
    final_learning_rate: float = 5e-5
    dropout: float = 0.3
    max_shift: int = 1
    precision: str = "auto"
    checkpoint_steps: int = 200
    path: str = added("")
    outputs: str = added("auto")
    flip: bool = added(False)
    preprocessing: str = added("")

    def __post_init__(self) -> None:
        require(
            self.outputs in OUTPUTS,
            "classifier.outputs",
            self.outputs,
            f"one of {', '.join(OUTPUTS)}",
        )
        check(
            self,
            "classifier",
            positive="epochs batch_size learning_rate final_learning_rate checkpoint_steps",
            not_negative="train_images dropout max_shift",
        )
        require(self.dropout < 1, "classifier.dropout", self.dropout, "a value below 1")
        require(
            self.max_shift < 14, "classifier.max_shift", self.max_shift, "a value below 14 pixels"
        )
        require(
            bool(self.path) or not self.preprocessing,
            "classifier.preprocessing",
            self.preprocessing,
            "none without classifier.path: Table 6's classifier takes images in [0, 1]",
        )
        check_precision("classifier", self.precision)


@dataclass(frozen=True)
class AttackConfig:
    """Adversarial sets: training, validation and test, the paper's section 3.

    Images per setting: `*_images` (0 = all of the split); every training setting draws its own, all
    test attacks share theirs. Epsilons are L-infinity distances on [0, 1] images. `cw_train_*`
    serve the training and the validation sets, `cw_test_*` the test set. `train_precision` is that
    of the classifier while training sets are made; validation and test sets are made in float32.
    """

    train_epsilons: tuple[float, ...] = (0.25, 0.30, 0.35)
    train_confidences: tuple[float, ...] = (5.0, 10.0, 15.0)
    train_images: int = 0
    train_cw_images: int = 0
    train_clean: bool = True
    train_clean_images: int = 0
    validation_epsilon: float = 0.275
    validation_confidence: float = 7.5
    validation_images: int = 1000
    validation_cw_images: int = 200
    test_attacks: tuple[str, ...] = ("fgsm", "rand_fgsm", "cw", "mi_fgsm", "pgd", "single_pixel")
    test_images: int = 1000
    test_clean_images: int = 0
    test_epsilon: float = 0.3
    test_confidence: float = 10.0
    alpha: float = 0.05
    steps: int = 40
    step_size: float = 0.01
    decay: float = 1.0
    cw_learning_rate: float = 0.01
    cw_initial_const: float = 1e-3
    cw_train_iterations: int = 1500
    cw_train_search_steps: int = 9
    cw_train_learning_rate: float = 0.01
    cw_train_initial_const: float = 1e-3
    cw_test_iterations: int = 1500
    cw_test_search_steps: int = 9
    max_pixels: int = 100
    exhaustive: bool = False
    train_precision: str = "auto"
    batch_size: int = 250
    shard_size: int = 1000

    def __post_init__(self) -> None:
        check(
            self,
            "attack",
            positive=(
                "steps step_size cw_learning_rate cw_initial_const cw_train_learning_rate"
                " cw_train_initial_const cw_train_iterations cw_train_search_steps"
                " cw_test_iterations cw_test_search_steps max_pixels batch_size shard_size"
            ),
            not_negative=(
                "train_epsilons train_confidences train_images train_cw_images train_clean_images"
                " validation_epsilon validation_confidence validation_images validation_cw_images"
                " test_images test_clean_images test_epsilon test_confidence alpha decay"
            ),
        )
        for name in ("train_epsilons", "train_confidences", "test_attacks"):
            values = getattr(self, name)
            # As the sets are named: six digits.
            named = {value if isinstance(value, str) else f"{value:g}" for value in values}
            require(
                len(named) == len(values), f"attack.{name}", values, "each one once, in six digits"
            )
        check_precision("attack", self.train_precision)
        epsilons = (*self.train_epsilons, self.validation_epsilon, self.test_epsilon)
        require(
            max(epsilons) <= 1,
            "epsilons of the attacks",
            max(epsilons),
            "at most 1, the range of a pixel",
        )
        require(
            self.alpha <= min(epsilons),
            "attack.alpha",
            self.alpha,
            f"at most every epsilon ({min(epsilons)})",
        )
        require(
            self.shard_size % self.batch_size == 0,
            "attack.shard_size",
            self.shard_size,
            f"a multiple of attack.batch_size ({self.batch_size})",
        )


@dataclass(frozen=True)
class VaeConfig:
    """The purifiers (Table 5) and the weights of their loss terms (section 2.2).

    `alpha` weighs L_c in cls, `gamma` weighs L_c in combined, `beta` weighs L_kl against L_r,
    `proximity` weighs L_p (the paper's alpha of L_pd) and `sigma` weighs L_d. `clip_norm` bounds
    the global gradient norm; `max_shift` moves both images of a pair by up to so many pixels.
    `reduction` says what L_r and L_kl are divided by (`losses.total`), `latent_scale` how the
    encoder gives the latent deviation (`DefenseVAE`): the defaults are this project's, the others
    the reference code's. `clip_norm` 0: no clipping. `warmup_epochs` of the vanilla loss at
    `warmup_learning_rate` come first and are shared by all variants; each then trains `epochs` of
    its own, from `learning_rate` down to `final_learning_rate`. 0: every variant starts from
    nothing. `epoch_steps` is the length of a variant's own epoch; 0: as many batches as the pairs
    fill. A warm-up's epochs are whole. `width` multiplies the channels of Table 5. `fused_adam`:
    Adam in one pass over each weight; faster, and other roundings, so other artifacts.
    """

    variants: tuple[str, ...] = ("vanilla", "cls", "pd", "combined")
    latent_size: int = 128
    warmup_epochs: int = 0
    warmup_learning_rate: float = 1e-3
    epochs: int = 10
    batch_size: int = 64
    learning_rate: float = 1e-3
    final_learning_rate: float = 1e-5
    clip_norm: float = 1.0
    max_shift: int = 0
    alpha: float = 0.1
    beta: float = 0.1
    gamma: float = 0.1
    proximity: float = 0.01
    sigma: float = 1e-5
    reduction: str = "elbo"
    latent_scale: str = "log_variance"
    precision: str = "auto"
    checkpoint_steps: int = 200
    image_steps: int = 500
    fused_adam: bool = added(False)
    epoch_steps: int = added(0)
    width: float = added(1.0)

    def __post_init__(self) -> None:
        check(
            self,
            "vae",
            positive=(
                "latent_size epochs batch_size warmup_learning_rate learning_rate"
                " final_learning_rate checkpoint_steps image_steps width"
            ),
            not_negative=(
                "alpha beta gamma proximity sigma warmup_epochs max_shift clip_norm epoch_steps"
            ),
        )
        for name, known in (("reduction", REDUCTIONS), ("latent_scale", LATENT_SCALES)):
            value = getattr(self, name)
            require(value in known, f"vae.{name}", value, f"one of {', '.join(known)}")
        check_precision("vae", self.precision)
        require(self.max_shift < 14, "vae.max_shift", self.max_shift, "a value below 14 pixels")
        require(len(self.variants) > 0, "vae.variants", self.variants, "at least one variant")
        require(
            len(set(self.variants)) == len(self.variants),
            "vae.variants",
            self.variants,
            "each variant once",
        )


@dataclass(frozen=True)
class EvaluateConfig:
    """Batch size of the predictions."""

    batch_size: int = 250

    def __post_init__(self) -> None:
        check(self, "evaluate", positive="batch_size")
