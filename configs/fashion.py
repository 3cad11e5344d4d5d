"""full.py on Fashion-MNIST, with a classifier trained for longer and on mirror images, substitutes
for less long and one seed.

Give it a workdir of its own. No accuracies of substitutes are published for this data set, so they
get fewer epochs.

python -m pipeline.run --config=configs/fashion.py --workdir=runs/fashion --stage=all
"""

import dataclasses

from configs import full
from madvae_tf.config import Config


def get_config() -> Config:
    """See the module's docstring."""
    base = full.get_config()
    return dataclasses.replace(
        base,
        name="fashion",
        seeds=(),
        data=dataclasses.replace(base.data, name="fashion_mnist"),
        classifier=dataclasses.replace(base.classifier, epochs=30, dropout=0.5, flip=True),
        black_box=dataclasses.replace(base.black_box, epochs=(4, 5, 4, 20, 10)),
    )
