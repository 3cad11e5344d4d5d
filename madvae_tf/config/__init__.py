"""The configuration: one frozen dataclass per section, checked on construction.

A file in `configs/` holds a function `get_config() -> Config`; `overrides` loads it and applies
--set.
"""

from madvae_tf.config.experiments import (
    SUBSTITUTES,
    BaselinesConfig,
    BlackBoxConfig,
    ClustersConfig,
    ReferenceConfig,
    RobustnessConfig,
    TuneConfig,
)
from madvae_tf.config.fields import matches, plain, type_name
from madvae_tf.config.robust import RobustConfig
from madvae_tf.config.sections import (
    AttackConfig,
    ClassifierConfig,
    DataConfig,
    EvaluateConfig,
    VaeConfig,
)
from madvae_tf.config.tree import Config, from_dict, to_dict, unknown_key

__all__ = [
    "SUBSTITUTES",
    "AttackConfig",
    "BaselinesConfig",
    "BlackBoxConfig",
    "ClassifierConfig",
    "ClustersConfig",
    "Config",
    "DataConfig",
    "EvaluateConfig",
    "ReferenceConfig",
    "RobustConfig",
    "RobustnessConfig",
    "TuneConfig",
    "VaeConfig",
    "from_dict",
    "matches",
    "plain",
    "to_dict",
    "type_name",
    "unknown_key",
]
