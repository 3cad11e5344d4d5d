"""What the playground does: an image in; attacked, purified, and classified all along. From
exported SavedModels alone.
"""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from madvae_tf.utils.errors import UserError, lookup
from madvae_tf.utils.images import IMAGE_SHAPE, check_images

# The attacks whose strength is an L-infinity distance.
ATTACKS = {"fgsm": "FGSM", "rand_fgsm": "Rand-FGSM", "pgd": "PGD", "mi_fgsm": "MI-FGSM"}
THREAT_MODELS = {
    "oblivious": (
        "Oblivious: the attacker attacks the classifier alone and does not know of the purifier"
    ),
    "end_to_end": (
        "End to end: the attacker knows of the purifier and attacks purifier and classifier"
        " together"
    ),
}
LIMITS = (
    "Oblivious robustness is not security: an attacker who knows of the purifier attacks end to"
    " end, and then little or nothing is left of what the paper's variants protect. Try both."
)
# MNIST's own layout: the digit fits a box of this side, its centre of mass in the middle of the
# image.
_BOX = 20
_HEIGHT, _WIDTH, _ = IMAGE_SHAPE
_CLASSIFIER = "classifier"


@dataclasses.dataclass(frozen=True, eq=False)
class View:
    """One image and the classifier's answer: float32 (28, 28, 1) in [0, 1], float32
    (classes,).
    """

    image: np.ndarray
    probabilities: np.ndarray

    @property
    def label(self) -> int:
        """The class with the highest probability."""
        return int(self.probabilities.argmax())


@dataclasses.dataclass(frozen=True, eq=False)
class Outcome:
    """What became of one image.

    Attributes:
        clean, clean_purified, adversarial, purified: the four images and the classifier's answers.
        linf, l2: the size of the change.
        threat_model: whom the attack was aimed at.
    """

    clean: View
    clean_purified: View
    adversarial: View
    purified: View
    linf: float
    l2: float
    threat_model: str

    @property
    def fooled(self) -> bool:
        """Whether the classifier alone changes its answer."""
        return self.adversarial.label != self.clean.label

    @property
    def restored(self) -> bool:
        """Whether purifier and classifier give the answer of the clean image."""
        return self.purified.label == self.clean.label

    def summary(self) -> str:
        """What happened, in two sentences, with the threat model."""
        alone = "fooled" if self.fooled else "not fooled"
        behind = "restores the answer" if self.restored else "does not restore the answer"
        knowledge = (
            "The attacker did not know of the purifier (oblivious)."
            if self.threat_model == "oblivious"
            else "The attacker knew of the purifier (end to end)."
        )
        return (
            f"The classifier says {self.clean.label} for the clean image and"
            f" {self.adversarial.label} for the attacked one: {alone}. Behind the purifier it says"
            f" {self.purified.label}: the purifier {behind}. {knowledge}"
        )


class Session:
    """The exports of a run, loaded as they are needed.

    Args:
        exports: the folder with the exported classifier and a folder for each variant, like
            runs/quick/export.

    Raises:
        UserError: there is no exported classifier or no exported variant.
    """

    def __init__(self, exports: Path):
        self.exports = Path(exports)
        found = sorted(path.parent.name for path in self.exports.glob("*/saved_model.pb"))
        self.variants = [name for name in found if name != _CLASSIFIER]
        if _CLASSIFIER not in found or not self.variants:
            raise UserError(
                f"No exported classifier and purifier in {self.exports}; it has:"
                f" {', '.join(found) or 'no SavedModel'}; make them with python -m pipeline.run"
                " --stage=export."
            )
        self._loaded: dict[str, Any] = {}

    def check(self) -> None:
        """Looks at the classifier, so that exports that nothing can be drawn for are told before a
        page is shown.

        Raises:
            UserError: it cannot be read, or its images are not those of a drawing, 28 x 28 grey.
        """
        from madvae_tf.models.external_classifier import open_saved_model, shape_of_signature

        folder = self.exports / _CLASSIFIER
        function = lookup(open_saved_model(folder).signatures, "classify", "signature")
        shape = shape_of_signature(function, folder)
        if shape != IMAGE_SHAPE:
            raise UserError(
                f"The exports in {self.exports} take images of shape {shape}; the playground draws"
                f" and shows {IMAGE_SHAPE} only. For these use the commands madvae-attack and"
                " madvae-purify."
            )

    def run(
        self,
        image: np.ndarray,
        attack: str,
        epsilon: float,
        threat_model: str,
        variant: str,
        seed: int = 0,
    ) -> Outcome:
        """Attacks `image` away from the classifier's own answer for it, and purifies the result.

        Args:
            image: floating point (28, 28, 1) in [0, 1].
            attack: a name of `ATTACKS`.
            epsilon: the L-infinity budget, in [0, 1].
            threat_model: a name of `THREAT_MODELS`.
            variant: one of `variants`.
            seed: of the attacks that draw.

        Raises:
            UserError: an unknown name, an image or a budget that is not what it should be.
        """
        lookup(ATTACKS, attack, "attack")
        lookup(THREAT_MODELS, threat_model, "threat model")
        lookup(dict.fromkeys(self.variants), variant, "variant")
        clean = check_images(np.asarray(image)[None])
        from madvae_tf.attacks import ATTACKS as KINDS
        from madvae_tf.attacks import DefendedModel, run_attack

        own = {"epsilon": float(epsilon)}
        if attack == "rand_fgsm":
            own["alpha"] = min(0.05, own["epsilon"])
        # Aimed away from what the attacked system says of the clean image.
        attacked = self._system(_CLASSIFIER if threat_model == "oblivious" else variant)
        label = np.asarray(attacked(clean)).argmax(axis=1)
        result = run_attack(
            KINDS[attack](**own),
            DefendedModel(logits=attacked),
            clean,
            label,
            (seed, 0),
            batch_size=1,
        )
        difference = result.x_adv - clean
        return Outcome(
            clean=self._view(clean),
            clean_purified=self._purified(clean, variant),
            adversarial=self._view(result.x_adv),
            purified=self._purified(result.x_adv, variant),
            linf=float(np.abs(difference).max()),
            l2=float(np.linalg.norm(difference)),
            threat_model=threat_model,
        )

    def _system(self, name: str) -> Any:
        """An export as images -> logits, through which gradients flow."""
        if name not in self._loaded:
            from madvae_tf.models.external_classifier import load_saved_model

            self._loaded[name] = load_saved_model(
                self.exports / name, np.zeros((2, *IMAGE_SHAPE), np.float32)
            )
        return self._loaded[name]

    def _view(self, images: np.ndarray) -> View:
        return View(images[0], _softmax(np.asarray(self._system(_CLASSIFIER)(images))[0]))

    def _purified(self, images: np.ndarray, variant: str) -> View:
        import tensorflow as tf

        purify = self._system(variant).resource.signatures["purify"]
        return self._view(purify(images=tf.constant(images))["purified"].numpy())


def _softmax(logits: np.ndarray) -> np.ndarray:
    shares = np.exp(logits - logits.max())
    return (shares / shares.sum()).astype(np.float32)


def from_drawing(ink: np.ndarray) -> np.ndarray:
    """A drawing as MNIST has its digits: light on dark, in a box of 20 pixels, centred by mass.

    Args:
        ink: floating point (height, width) in [0, 1]; 1 where there is ink.

    Returns:
        float32 (28, 28, 1) in [0, 1].

    Raises:
        UserError: nothing is drawn.
    """
    rows, columns = np.flatnonzero(ink.max(axis=1) > 0.1), np.flatnonzero(ink.max(axis=0) > 0.1)
    if not len(rows):
        raise UserError("Nothing is drawn yet; draw one digit, or pick a test image.")
    cut = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    scale = _BOX / max(cut.shape)
    size = (max(1, round(cut.shape[1] * scale)), max(1, round(cut.shape[0] * scale)))
    picture = Image.fromarray(np.round(cut * 255).astype(np.uint8)).resize(
        size, Image.Resampling.LANCZOS
    )
    small = np.asarray(picture, np.float32) / 255
    total = max(float(small.sum()), 1e-6)
    down = float((small.sum(axis=1) * np.arange(small.shape[0])).sum()) / total
    across = float((small.sum(axis=0) * np.arange(small.shape[1])).sum()) / total
    # The middle of 28 pixels lies between the 14th and the 15th, at 13.5.
    top = int(np.clip(round((_HEIGHT - 1) / 2 - down), 0, _HEIGHT - small.shape[0]))
    left = int(np.clip(round((_WIDTH - 1) / 2 - across), 0, _WIDTH - small.shape[1]))
    image = np.zeros(IMAGE_SHAPE, np.float32)
    image[top : top + small.shape[0], left : left + small.shape[1], 0] = small
    return image


def sample_images(workdir: Path, wanted: int = 20) -> list[tuple[np.ndarray, int]]:
    """Clean test images of a run with their labels, evenly spaced in the set; none where the run
    has no such set.

    Args:
        workdir: of the pipeline, like runs/quick.
    """
    from madvae_tf.data.adversarial_sets import AdversarialSet
    from madvae_tf.data.batches import evenly_spaced

    folders = sorted(
        path.parent for path in Path(workdir).glob("artifacts/attack/test-none-*/manifest.json")
    )
    if not folders:
        return []
    test = AdversarialSet.open(folders[-1])
    rows = evenly_spaced(len(test), wanted)
    images, _ = test.gather(rows)
    return [(image, int(label)) for image, label in zip(images, test.labels[rows], strict=True)]
