"""What an evaluation found: who survived what, as figures, tables, files and pictures."""

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import numpy as np

import madvae_tf
from madvae_tf.evaluation import tables
from madvae_tf.evaluation.intervals import wilson_interval
from madvae_tf.evaluation.rows import budget, evaluation_rows
from madvae_tf.evaluation.suites import Suite, Trial
from madvae_tf.utils.errors import UserError
from madvae_tf.utils.labels import PAPER_CLASSES

SCHEMA = 1


@dataclasses.dataclass(frozen=True, eq=False)
class Outcome:
    """What a trial left.

    Attributes:
        suite, trial: which.
        robust: bool (n,), classified right after it; in a sequential suite after it and all before
            it.
        n_robust: for each of its runs (restarts, targets), how many were right after it.
        attacked: bool (n,), the images that it was tried on; None: all.
        x_adv: float32 (n, height, width, channels), where images were kept: the one that fooled the
            system, or the image as it was.
        unchanged: bool (n,), attacked, and every run gave the image back as it was; None: not
            known.
    """

    suite: Suite
    trial: Trial
    robust: np.ndarray
    n_robust: tuple[int, ...]
    attacked: np.ndarray | None = None
    x_adv: np.ndarray | None = None
    unchanged: np.ndarray | None = None


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Evaluation:
    """Who survived what.

    Attributes:
        clean: bool (n,), classified right without an attack.
        outcomes: of every trial, in order.
        threat_model: what the attacker knew: oblivious, transfer or end_to_end.
        model: what the system is called in tables.
        seed: of every random draw.
        seconds: how long it took.
        warnings: what a reader of the figures must know.
        classes: how many the system tells apart.
        notes: what was chosen where the caller left it open.
    """

    clean: np.ndarray
    outcomes: tuple[Outcome, ...]
    threat_model: str = "end_to_end"
    model: str = "system"
    seed: int = 0
    seconds: float = 0.0
    warnings: tuple[str, ...] = ()
    classes: int = PAPER_CLASSES
    notes: tuple[str, ...] = ()

    def robust(self, name: str) -> np.ndarray:
        """Bool (n,): right after the suite or the trial of this name.

        Raises:
            UserError: there is none.
        """
        found = [o.robust for o in self.outcomes if name in (o.suite.name, o.trial.label)]
        if not found:
            known = dict.fromkeys(n for o in self.outcomes for n in (o.suite.name, o.trial.label))
            raise UserError(
                f"Unknown suite or trial {name!r}. Expected one of: {', '.join(known)}."
            )
        return np.logical_and.reduce(found)

    @property
    def worst(self) -> np.ndarray:
        """Bool (n,): right whatever was done to the image."""
        return np.logical_and.reduce([self.clean, *(outcome.robust for outcome in self.outcomes)])

    @property
    def masks(self) -> dict[str, np.ndarray]:
        """Per image, bool (n,): right without an attack ("none"), after each trial ("suite:
        trial"), and after all ("worst_case").
        """
        each = {f"{o.suite.name}: {o.trial.label}": o.robust for o in self.outcomes}
        return {"none": self.clean, **each, "worst_case": self.worst}

    @property
    def x_adv(self) -> np.ndarray:
        """The image of each that fooled the system first, float32 (n, height, width, channels); the
        image as it was where none did.

        Raises:
            UserError: images were not kept.
        """
        kept = [o for o in self.outcomes if o.x_adv is not None]
        if not kept or len(kept) < len(self.outcomes):
            raise UserError("No images were kept; expected evaluate(..., keep_images=True).")
        result, done = np.array(kept[0].x_adv), ~self.clean
        for outcome in kept:
            new = ~outcome.robust & ~done
            result[new] = np.asarray(outcome.x_adv)[new]
            done = done | new
        return result

    def rows(self) -> list[dict[str, Any]]:
        """A figure a row: attack, norm, epsilon, threat_model, accuracy, ci_low, ci_high (95%
        Wilson interval), n, seed, model; for a data frame.
        """
        return [
            tables.plain(row, self.model) for row in self._rows() if row["metric"] == "accuracy"
        ]

    def to_dict(self, masks: bool = False) -> dict[str, Any]:
        """Everything that JSON can hold; "rows" are as those of a results.json.

        Args:
            masks: whether who was right, image by image, is among it.
        """
        named = {"clean": self.clean, "worst_case": self.worst}
        return {
            "schema": SCHEMA,
            "version": madvae_tf.__version__,
            "model": self.model,
            "threat_model": self.threat_model,
            "threats": [list(each) for each in self.threats],
            "n": len(self.clean),
            "classes": self.classes,
            "seed": self.seed,
            "seconds": round(self.seconds, 3),
            **{name: tables.share(robust) for name, robust in named.items()},
            "warnings": list(self.warnings),
            "notes": list(self.notes),
            "rows": self._rows(),
            **(
                {"masks": {name: mask.tolist() for name, mask in self.masks.items()}}
                if masks
                else {}
            ),
        }

    def to_json(self, masks: bool = False) -> str:
        """`to_dict` as text."""
        return json.dumps(self.to_dict(masks), indent=2, allow_nan=False) + "\n"

    def to_csv(self) -> str:
        """`rows` as CSV (RFC 4180)."""
        return tables.to_csv(self.rows())

    def to_latex(self) -> str:
        r"""The table in LaTeX, with `\usepackage{booktabs}`."""
        return tables.to_latex(self)

    def save(self, path: str | os.PathLike[str], arrays: bool = False) -> None:
        """Writes `to_json` to a file, which `python -m madvae_tf.evaluation` prints, too.

        Args:
            arrays: whether a file `.npz` beside it gets the masks and, where they were kept, the
                images as "x_adv".

        Raises:
            UserError: it cannot be written.
        """
        file = Path(path).expanduser()
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(self.to_json(), encoding="utf-8")
            if arrays:
                kept: dict[str, Any] = dict(self.masks)
                if any(outcome.x_adv is not None for outcome in self.outcomes):
                    kept["x_adv"] = self.x_adv
                np.savez_compressed(file.with_suffix(".npz"), **kept)
        except OSError as error:
            raise UserError(
                f"Cannot write {file}: {error.strerror or error}; expected a file in a writable"
                " folder."
            ) from error

    def plot(self, path: str | os.PathLike[str] | None = None) -> Any:
        """A matplotlib figure: accuracy after every attack with its 95% interval.

        Args:
            path: where to write it, too, in the format of its suffix.
        """
        return tables.plot(self, path)

    def summary(self) -> str:
        """What was attacked and how; a line for each trial, and for the worst case: accuracy, its
        95% Wilson interval and n; the warnings and notes.
        """
        head = f"{self.model}, {self.threat_model}, {tables.budgets(self)}, seed {self.seed}"
        lines = [("no attack", self.clean)]
        lines += [(f"{o.suite.name}: {o.trial.label}", o.robust) for o in self.outcomes]
        lines.append(("worst case", self.worst))
        shown = []
        for title, robust in lines:
            low, high = wilson_interval(int(robust.sum()), len(robust))
            shown.append(
                f"{title:40s} {robust.mean():.4f} [{low:.4f}, {high:.4f}] n = {len(robust)}"
            )
        said = [f"warning: {warning}" for warning in self.warnings]
        said += [f"note: {note}" for note in self.notes]
        return "\n".join([head, *shown, *said])

    @property
    def threats(self) -> list[tuple[str, float]]:
        """Norm and budget of each kind of attack, in order, each once; what has no budget is not
        among them.
        """
        found = [budget(o.trial.attack) for o in self.outcomes]
        return list(dict.fromkeys((b["norm"], b["epsilon"]) for b in found if b))

    def __repr__(self) -> str:
        return f"<Evaluation of {self.model}: {tables.headline(self)}>"

    def __str__(self) -> str:
        return self.summary()

    def _repr_html_(self) -> str:
        return tables.to_html(self)

    def _rows(self) -> list[dict[str, Any]]:
        common = {"dataset": "given", "threat_model": self.threat_model, "defense": self.model}
        ball, *others = [*self.threats, ("", 0.0)]
        shared = {} if len(others) != 1 else {"norm": ball[0], "epsilon": ball[1]}
        return evaluation_rows(self, {**common, "seed": self.seed}, shared)
