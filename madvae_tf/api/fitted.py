"""A trained purifier with its classifier: what `fit`, `fit_robust` and `load` give."""

import contextlib
import functools
import html
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from madvae_tf.api import figures, preset_card, preset_files, saving
from madvae_tf.attacks import DefendedModel
from madvae_tf.config.parameters import check_integers
from madvae_tf.defenses.purifier import defended
from madvae_tf.evaluation import Evaluation, System, evaluate, straight_through
from madvae_tf.export.saved_model import export_purifier
from madvae_tf.models.external_classifier import ExternalClassifier
from madvae_tf.models.finite import check_finite
from madvae_tf.models.seeding import process_as_found
from madvae_tf.models.vae import DefenseVAE
from madvae_tf.utils.errors import UserError
from madvae_tf.utils.files import written_folder
from madvae_tf.utils.forks import check_process
from madvae_tf.utils.images import as_float, check_any_images
from madvae_tf.utils.progress import progress_bar, silent


class FittedDefense:
    """What `madvae_tf.fit` and `madvae_tf.load` give.

    Images are uint8 in [0, 255] or floating point in [0, 1], (n, 28, 28, 1) or (n, 28, 28), or of
    whatever shape `fit` had; they go through in batches, so that besides the result memory does not
    grow with their number.

    Attributes:
        purifier: the `DefenseVAE`, frozen.
        classifier: the `ExternalClassifier` behind it, or None.
        image_shape: (height, width, channels) of the images that it takes.
        info: how it was made, values that JSON can hold; `info["figures"]`: what it keeps on
            held-out images, see `madvae_tf.api.figures`.

    Raises:
        UserError: weights of the purifier are not finite.
    """

    def __init__(
        self, purifier: DefenseVAE, classifier: ExternalClassifier | None, info: Mapping[str, Any]
    ) -> None:
        check_finite(purifier, "purifier")
        purifier.trainable = False
        self.purifier = purifier
        self.classifier = classifier
        self.info: dict[str, Any] = dict(info)
        self.image_shape = purifier.image_shape
        spec = [tf.TensorSpec((None, *self.image_shape), tf.float32)]
        self._purify = tf.function(purifier.purify, input_signature=spec)
        self._probabilities = tf.function(
            lambda images: tf.nn.softmax(self._classifier()(purifier.purify(images))),
            input_signature=spec,
        )

    def purify(self, images: Any, *, batch_size: int = 256, verbose: int = 0) -> np.ndarray:
        """Purified images, float32 in [0, 1], of the shape that they came in.

        Raises:
            UserError: images of another dtype or shape, not finite or out of range; a batch size
                below 1.
        """
        checked = check_any_images(images, shape=self.image_shape)
        shape = np.shape(images)
        return self._batched(self._purify, checked, self.image_shape, batch_size, verbose).reshape(
            shape
        )

    def predict_proba(self, images: Any, *, batch_size: int = 256, verbose: int = 0) -> np.ndarray:
        """Probabilities of the classes for the purified images, float32 (n, classes). Errors: see
        `purify`; no classifier.
        """
        classes = self._classifier().num_classes
        checked = check_any_images(images, shape=self.image_shape)
        return self._batched(self._probabilities, checked, (classes,), batch_size, verbose)

    def predict(self, images: Any, *, batch_size: int = 256, verbose: int = 0) -> np.ndarray:
        """The classes predicted for the purified images, int64 (n,). Errors: see `purify`; there is
        no classifier.
        """
        return self.predict_proba(images, batch_size=batch_size, verbose=verbose).argmax(axis=1)

    def evaluate(
        self,
        images: Any,
        labels: Any = None,
        *,
        threat: Any = None,
        threat_model: str = "end_to_end",
        **options: Any,
    ) -> Evaluation:
        """How many images the classifier behind the purifier still classifies right under attack:
        `madvae_tf.evaluate` of this defence.

        Args:
            images, labels: see `madvae_tf.evaluate`; images that `fit` did not learn from.
            threat: such as "linf:0.3"; by default the budget of the figures in `info`.
            threat_model: end_to_end, the attacker knows of the purifier; or oblivious, he attacks
                the classifier alone.
            options: further ones of `madvae_tf.evaluate`: preset, suites, seed, batch_size, folder,
                keep_images, progress.

        Raises:
            UserError: there is no classifier, another threat model, or see `madvae_tf.evaluate`.
        """
        if threat_model not in ("end_to_end", "oblivious"):
            raise UserError(
                f"Invalid threat_model: received {threat_model!r}, expected end_to_end or"
                " oblivious; for a transfer attack pass target= to madvae_tf.evaluate."
            )
        if threat_model == "oblivious":
            options["target"] = DefendedModel(self._classifier())
        return evaluate(self, images, labels, threat=threat, threat_model=threat_model, **options)

    def system(self) -> System:
        """The classifier behind the purifier as `madvae_tf.evaluate` attacks it. Raises `UserError`
        where there is no classifier.
        """
        target, targets = self._targets
        threats = self.info.get("figures", {}).get("threats", [])
        return System(target, targets, name=self.variant, threat=next(iter(threats), ""))

    @functools.cached_property
    def _targets(self) -> tuple[DefendedModel, dict[str, DefendedModel]]:
        # One for all calls: compiled attacks are cached by its functions.
        target = defended(self.purifier, self._classifier())
        targets = {"identity": straight_through(target, self._classifier())}
        if target.straight_through is not None:
            targets["straight_through"] = target.with_logits(target.straight_through)
        return target, targets

    @property
    def variant(self) -> str:
        """Of `madvae_tf.config.variants.VARIANTS`, as `info` has it."""
        return str(self.info.get("variant", "purifier"))

    def __repr__(self) -> str:
        behind = "" if self.classifier is None else f" -> {self.classifier.num_classes} classes"
        known = figures.short(self.info.get("figures", {}))
        return f"<FittedDefense {self.variant}, images {self.image_shape}{behind}{known}>"

    def _repr_html_(self) -> str:
        known = self.info.get("figures", {})
        text = html.escape(f"{self!r}") + html.escape(figures.advice(known, self.variant))
        return f"<p>{text}</p>{figures.to_html(known)}"

    @process_as_found()
    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Writes the folder `path`, whole or not at all.

        A classifier that is no Keras model is not in it: give it to `load` again.

        Raises:
            UserError: `path` exists (a defence that was saved there is replaced with `overwrite`),
                it cannot be written, or the classifier holds code that the safe mode would not
                load.
        """
        folder = Path(path).expanduser()
        ours = (folder / saving.RECORD).is_file()
        if folder.exists() and not (overwrite and ours):
            way_out = "pass overwrite=True to replace it" if ours else "choose another path"
            raise UserError(f"Cannot save to {folder}: it exists; {way_out}.")
        with _writable(folder, "save"), written_folder(folder) as partial:
            saving.write(partial, self.purifier, self.classifier, self.info)

    @process_as_found()
    def save_to_preset(
        self,
        path: str | os.PathLike[str],
        *,
        dataset: str = "",
        evaluation: Evaluation | None = None,
        text: str = "",
    ) -> None:
        """Writes the defence as a preset with a model card, whole or not at all: a folder for
        `madvae_tf.from_preset`, laid out as keras-hub's (`madvae_tf.api.preset_files`).

        Args:
            dataset: what its images are, like "MNIST"; for the card.
            evaluation: of this defence: the card's figures. None: those that training ended with.
            text: further paragraphs of the card, in Markdown.

        Raises:
            UserError: `path` exists, it cannot be written, or a model is of code that the safe mode
                would not load.
        """
        folder = Path(path).expanduser()
        if folder.exists():
            raise UserError(f"Cannot save to {folder}: it exists; choose another path.")
        facts = preset_card.facts_of(self.info, self.variant, dataset, evaluation)
        own = self.classifier
        held = saving.holds(own)
        card = preset_card.card_of(folder.name, facts, self.image_shape, held, text)
        with _writable(folder, "save"), written_folder(folder) as partial:
            preset_files.write(partial, self.purifier, own, facts, card)

    @process_as_found()
    def export(self, folder: str | os.PathLike[str]) -> None:
        """A SavedModel that needs TensorFlow only, whole or not at all, with the signatures of
        `madvae_tf.export.saved_model.export_purifier`.

        Raises:
            UserError: `folder` exists, or there is no classifier.
        """
        classifier = self._classifier()
        folder = Path(folder).expanduser()
        if folder.exists():
            raise UserError(f"Cannot export to {folder}: it exists; choose another path.")
        with _writable(folder, "export"), written_folder(folder) as partial:
            export_purifier(partial, self.purifier, classifier)

    def _classifier(self) -> ExternalClassifier:
        if self.classifier is None:
            raise UserError(
                "This defence has no classifier: it was saved with one that is no Keras model; "
                "pass it to madvae_tf.load(path, classifier)."
            )
        return self.classifier

    def _batched(
        self,
        function: Callable[[tf.Tensor], Any],
        images: np.ndarray,
        shape: tuple[int, ...],
        batch_size: int,
        verbose: int,
    ) -> np.ndarray:
        (batch_size,) = check_integers({"batch_size": (batch_size, 1)})
        check_process()
        results = np.empty((len(images), *shape), np.float32)
        with silent(not verbose), progress_bar(len(images), "purify", "image") as bar:
            for start in range(0, len(images), batch_size):
                part = images[start : start + batch_size]
                results[start : start + len(part)] = function(tf.constant(as_float(part)))
                bar.update(len(part))
        return results


@contextlib.contextmanager
def _writable(folder: Path, verb: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(
            f"Cannot {verb} to {folder}: {error.strerror or error}; expected a writable folder."
        ) from error


@process_as_found()
def of_preset(folder: Path, classifier: Callable[..., Any] | None) -> FittedDefense:
    """The defence in the folder of a preset, see `madvae_tf.from_preset`."""
    check_process()
    return FittedDefense(*preset_files.read(folder, classifier))


@process_as_found()
def load(
    path: str | os.PathLike[str],
    classifier: Callable[..., Any] | None = None,
    preprocessing: Any = None,
) -> FittedDefense:
    """The defence that `FittedDefense.save` wrote to `path`, or a folder of published weights:
    `purifier.keras`, and `classifier.keras` where it is there.

    Args:
        classifier: stands in place of the saved one; needed where that one was no Keras model and
            `predict` is wanted.
        preprocessing: what `classifier` wants done to the images, as for `fit`; a saved one has
            its own in it.

    Raises:
        UserError: there is no defence in `path`, a file is missing or damaged, or the classifier is
            not one (`adapt`).
    """
    check_process()
    if classifier is None and preprocessing is not None:
        raise UserError(
            "Invalid preprocessing: received one without a classifier, expected none: a saved"
            " classifier has its own in it."
        )
    return FittedDefense(*saving.read(Path(path).expanduser(), classifier, preprocessing))
