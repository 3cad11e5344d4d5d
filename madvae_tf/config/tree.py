"""The whole configuration, and its way to a plain dict and back."""

import dataclasses
import difflib
from dataclasses import dataclass, field
from typing import Any

from madvae_tf.config.experiments import (
    BaselinesConfig,
    BlackBoxConfig,
    ClustersConfig,
    ReferenceConfig,
    RobustnessConfig,
    TuneConfig,
)
from madvae_tf.config.fields import check, plain, require
from madvae_tf.config.robust import RobustConfig
from madvae_tf.config.sections import (
    AttackConfig,
    ClassifierConfig,
    DataConfig,
    EvaluateConfig,
    VaeConfig,
)
from madvae_tf.utils.errors import UserError


@dataclass(frozen=True)
class Config:
    """The whole configuration; `name` is shown in the report, `seed` is folded into every random
    draw.

    `seeds`: the seeds that the variants are trained with; none: `seed` alone. The data, the
    classifier and the adversarial sets are those of `seed` for all of them.
    """

    name: str = "default"
    seed: int = 0
    seeds: tuple[int, ...] = ()
    data: DataConfig = field(default_factory=DataConfig)
    classifier: ClassifierConfig = field(default_factory=ClassifierConfig)
    attack: AttackConfig = field(default_factory=AttackConfig)
    vae: VaeConfig = field(default_factory=VaeConfig)
    robust: RobustConfig = field(default_factory=RobustConfig)
    evaluate: EvaluateConfig = field(default_factory=EvaluateConfig)
    baselines: BaselinesConfig = field(default_factory=BaselinesConfig)
    black_box: BlackBoxConfig = field(default_factory=BlackBoxConfig)
    clusters: ClustersConfig = field(default_factory=ClustersConfig)
    reference: ReferenceConfig = field(default_factory=ReferenceConfig)
    robustness: RobustnessConfig = field(default_factory=RobustnessConfig)
    tune: TuneConfig = field(default_factory=TuneConfig)

    def __post_init__(self) -> None:
        check(self, "config", not_negative="seed seeds")
        require(len(set(self.seeds)) == len(self.seeds), "seeds", self.seeds, "each seed once")
        require(
            not self.seeds or self.seed in self.seeds,
            "seeds",
            self.seeds,
            f"seed ({self.seed}) among them",
        )


def to_dict(config: Config) -> dict[str, Any]:
    """Nested plain dict of `config`, ready for JSON (tuples become lists)."""

    def listed(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: listed(entry) for key, entry in value.items()}
        return [listed(entry) for entry in value] if isinstance(value, tuple) else value

    return listed(plain(config))


def from_dict(values: dict[str, Any]) -> Config:
    """The `Config` that `to_dict` gave `values` for. Raises `UserError` for an unknown or a wrong
    field.
    """
    return _build(Config, values, "")


def _build(kind: type, values: dict[str, Any], prefix: str) -> Any:
    known = {item.name: item for item in dataclasses.fields(kind)}
    built = {}
    for name, value in values.items():
        if name not in known:
            raise unknown_key(prefix + name)
        annotation = known[name].type
        if dataclasses.is_dataclass(annotation):
            built[name] = _build(annotation, value, f"{prefix}{name}.")  # type: ignore[arg-type]
        else:
            built[name] = tuple(value) if isinstance(value, list) else value
    return kind(**built)


def unknown_key(key: str) -> UserError:
    """The error for a key that no section has; names the nearest known one."""
    known = []
    for item in dataclasses.fields(Config):
        if dataclasses.is_dataclass(item.type):
            known += [f"{item.name}.{inner.name}" for inner in dataclasses.fields(item.type)]
        else:
            known.append(item.name)
    nearest = difflib.get_close_matches(key, known, n=1, cutoff=0.4)
    hint = f" Did you mean {nearest[0]!r}?" if nearest else ""
    sections = ", ".join(
        item.name for item in dataclasses.fields(Config) if dataclasses.is_dataclass(item.type)
    )
    return UserError(f"Unknown configuration key {key!r}.{hint} Known sections: {sections}.")
