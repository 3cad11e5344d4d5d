"""Black-box attacks: extraction of a substitute by queries (section 3.2, appendix A.1.2; Papernot et al. 2016)."""

from madvae_tf import backend  # noqa: F401  # first: it refuses another backend of Keras
from madvae_tf.black_box.extraction import Extraction, extract
from madvae_tf.black_box.jacobian import augmentation, jacobian_step

__all__ = ["Extraction", "augmentation", "extract", "jacobian_step"]
