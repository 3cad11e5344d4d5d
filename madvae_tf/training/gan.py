"""Training of Defense-GAN's generator (Samangouei et al. 2018), with the losses of MAD-VAE where
they are wanted.

The adversarial game is WGAN-GP (Gulrajani et al. 2017). The critic D minimises, with x' = e x + (1
- e) G(z), e ~ U(0, 1),

    mean D(G(z)) - mean D(x) + penalty * mean (|grad D(x')| - 1)^2

and the generator, after `critic_steps` steps of the critic, minimises - mean D(G(z)), z ~ N(0, I).

The conclusion of the MAD-VAE paper (section 4) suggests its losses for other generative defences,
Defense-GAN first. This is the reading of it here. A GAN has no encoder, so the Gaussian that
MAD-VAE's encoder gives an image, and that its losses shape, is here the Gaussian of a class: y is
drawn uniformly, then z = c_y + s_y N(0, I), with centres c and spreads s that are learned through
the generator. The latent space is then a mixture with one component a class, which is what Jang et
al. ask of a generator of images in as many components (A.6). The generator's loss becomes

    - mean D(G(z)) + beta L_kl / pixels + alpha L_c + proximity L_p - sigma L_d

with the terms of `madvae_tf.losses`: the critic stands where the reconstruction stood. L_c asks
that the classifier sees the class that z was drawn for, L_p gathers a class around its centre (z -
c_y = s_y N(0, I): it is the spread that it moves, and of one fixed spread it would be a constant),
L_d separates the centres, and L_kl holds both near N(0, I).
"""

import functools
import math
from collections.abc import Callable, Mapping
from typing import Any

import keras
import tensorflow as tf

from madvae_tf import losses
from madvae_tf.models.inference import num_classes_of
from madvae_tf.training.replicas import global_size, replica_part

# Under the root of the gradient's norm, which has no derivative at 0.
_SQUARE_FLOOR = 1e-12


def gradient_penalty(
    critic: Callable[[tf.Tensor], tf.Tensor], real: tf.Tensor, fake: tf.Tensor, mix: tf.Tensor
) -> tf.Tensor:
    """(|grad D(x')| - 1)^2 at x' = mix real + (1 - mix) fake, one value an image: (batch,).

    Args:
        critic: images -> scores (batch,), the score of an image a function of that image alone.
        real, fake: float32 (batch, height, width, channels).
        mix: float32 (batch,) in [0, 1].
    """
    between = fake + mix[:, None, None, None] * (real - fake)
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(between)
        scores = critic(between)
    gradient: Any = tape.gradient(scores, between)
    norm = tf.sqrt(
        tf.reduce_sum(tf.square(tf.cast(gradient, tf.float32)), axis=(1, 2, 3)) + _SQUARE_FLOOR
    )
    return tf.square(norm - 1.0)


def in_parts(batches: tf.data.Dataset, parts: int, replicas: int) -> tf.data.Dataset:
    """Batches of `parts` runs of rows, reordered so that every replica, which gets a run of rows,
    has its share of each part.

    Without this a step of the critic would see other images on several devices than on one. One
    replica's stay as they are.
    """
    if replicas == 1:
        return batches

    def order(values: tf.Tensor) -> tf.Tensor:
        rows = tf.reshape(tf.range(values.shape[0]), (parts, replicas, -1))
        return tf.gather(values, tf.reshape(tf.transpose(rows, (1, 0, 2)), (-1,)))

    return batches.map(lambda batch: {name: order(values) for name, values in batch.items()})


class GanTrainer(keras.Model):
    """Generator and critic, their optimizers, and for MAD-GAN the centres, the spreads and the
    frozen classifier.

    Batches are dicts with "x": float32 (critic_steps * k, 28, 28, 1) in [0, 1]; each critic step
    takes k of the images, and the generator step draws k latents. All randomness comes from (seed,
    optimizer.iterations), where `optimizer` is the generator's: an iteration is a step of the
    generator and the critic's before it.

    Args:
        generator, critic: trained in place.
        optimizer, critic_optimizer: of their own each; built here, so that checkpoints hold the
            state of both.
        critic_steps: steps of the critic an iteration.
        penalty: weight of the gradient penalty.
        seed: folded into every draw.
        weights: term of `losses.TERMS` -> weight, without "reconstruction"; none for Defense-GAN,
            which draws z ~ N(0, I).
        classifier: images -> logits, float32; needed where there are terms: it says how many
            classes there are.
    """

    def __init__(
        self,
        generator: keras.Model,
        critic: keras.Model,
        optimizer: keras.optimizers.Optimizer,
        critic_optimizer: keras.optimizers.Optimizer,
        critic_steps: int = 5,
        penalty: float = 10.0,
        seed: int = 0,
        weights: Mapping[str, float] | None = None,
        classifier: keras.Model | None = None,
        **kwargs: Any,
    ):
        super().__init__(**{"dtype": "float32", **kwargs})
        self.generator = generator
        self.critic = critic
        self.critic_steps = critic_steps
        self.penalty = penalty
        self.seed = seed
        self.term_weights = dict(weights or {})
        self._divide = losses.divisors(
            "elbo", math.prod(generator.image_shape), generator.latent_size
        )
        # Held in a partial, the frozen classifier joins neither the weights nor the checkpoints.
        self._classify = (
            None if classifier is None else functools.partial(classifier, training=False)
        )
        self.centers = self.log_spreads = None
        self.num_classes = 0
        if self.term_weights:
            self.num_classes = num_classes_of(classifier, generator.image_shape)
            self.centers = self.add_weight(
                shape=(self.num_classes, generator.latent_size),
                initializer=keras.initializers.RandomNormal(stddev=1.0, seed=seed),
                name="centers",
            )
            self.log_spreads = self.add_weight(
                shape=(self.num_classes,), initializer="zeros", name="log_spreads"
            )
        self.built = True
        self.compile(optimizer=optimizer)
        self.critic_optimizer = critic_optimizer
        optimizer.build(self.generator_variables)
        critic_optimizer.build(critic.trainable_variables)

    @property
    def generator_variables(self) -> list[Any]:
        """What the generator's optimizer trains: the generator, and the centres and spreads where
        there are any.
        """
        latent = [] if self.centers is None else [self.centers, self.log_spreads]
        return [*self.generator.trainable_variables, *latent]

    def call(self, inputs):
        return self.generator(inputs)

    def latents(self, label: tf.Tensor, noise: tf.Tensor) -> tf.Tensor:
        """z float32 (batch, latent) of labels int64 (batch,) and standard normal noise (batch,
        latent).
        """
        if self.centers is None or self.log_spreads is None:
            return noise
        centers, log_spreads = (
            tf.convert_to_tensor(value) for value in (self.centers, self.log_spreads)
        )
        return tf.gather(centers, label) + tf.exp(tf.gather(log_spreads, label))[:, None] * noise

    def train_step(self, data):
        step = tf.cast(self.optimizer.iterations, tf.int32)
        parts = tf.split(data["x"], self.critic_steps)
        logs = [
            self._critic_step(part, self._draw(step, number)) for number, part in enumerate(parts)
        ]
        means = {
            name: tf.add_n([log[name] for log in logs]) / self.critic_steps for name in logs[0]
        }
        return {**self._generator_step(parts[0], self._draw(step, self.critic_steps)), **means}

    def _draw(self, step: tf.Tensor, number: int) -> Callable[..., tf.Tensor]:
        """(stream, local batch, distribution, ...) -> this replica's rows of the draw of one part
        of one step.
        """

        def draw(
            stream: int,
            batch: tf.Tensor,
            distribution: Callable[..., tf.Tensor],
            *shape: int,
            **limits,
        ):
            numbers = 3 * (self.critic_steps + 1)
            seed = tf.stack([self.seed, step * numbers + 3 * number + stream])
            return replica_part(
                lambda size: distribution(tf.stack([size, *shape]), seed, alg="philox", **limits),
                batch,
            )

        return draw

    def _draw_latents(
        self, draw: Callable[..., tf.Tensor], batch: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        # Without centres no latent asks for its label.
        most = self.num_classes or 1
        label = draw(0, batch, tf.random.stateless_uniform, minval=0, maxval=most, dtype=tf.int64)
        return label, draw(1, batch, tf.random.stateless_normal, self.generator.latent_size)

    def _critic_step(self, real: tf.Tensor, draw: Callable[..., tf.Tensor]) -> dict[str, tf.Tensor]:
        batch, size = tf.shape(real)[0], global_size(real)
        fake = self.generator(self.latents(*self._draw_latents(draw, batch)), training=True)
        mix = draw(2, batch, tf.random.stateless_uniform)
        with tf.GradientTape() as tape:
            real_scores, fake_scores = tf.split(self.critic(tf.concat([real, fake], axis=0)), 2)
            wasserstein = tf.reduce_sum(real_scores - fake_scores) / size
            penalty = tf.reduce_sum(gradient_penalty(self.critic, real, fake, mix)) / size
            loss = self.penalty * penalty - wasserstein
        variables = self.critic.trainable_variables
        self.critic_optimizer.apply_gradients(
            zip(tape.gradient(loss, variables), variables, strict=True)
        )
        return {"critic": loss, "wasserstein": wasserstein, "penalty": penalty}

    def _generator_step(
        self, real: tf.Tensor, draw: Callable[..., tf.Tensor]
    ) -> dict[str, tf.Tensor]:
        size = global_size(real)
        label, noise = self._draw_latents(draw, tf.shape(real)[0])
        with tf.GradientTape() as tape:
            terms = self.generator_terms(label, noise)
            weighted = losses.total(
                {**terms, "reconstruction": tf.zeros_like(terms["adversarial"])},
                self.term_weights,
                self._divide,
            )
            loss = tf.reduce_sum(terms["adversarial"] + weighted) / size
        variables = self.generator_variables
        self.optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return {"loss": loss, **{name: tf.reduce_sum(term) / size for name, term in terms.items()}}

    def generator_terms(self, label: tf.Tensor, noise: tf.Tensor) -> dict[str, tf.Tensor]:
        """The generator's terms, unweighted, (batch,) each: "adversarial", -D(G(z)), and those of
        `weights`.
        """
        z = self.latents(label, noise)
        images = self.generator(z, training=True)
        terms = {"adversarial": -self.critic(images)}
        if self.centers is None or self.log_spreads is None:
            return terms
        centers = tf.convert_to_tensor(self.centers)
        spreads = tf.gather(tf.convert_to_tensor(self.log_spreads), label)[:, None]
        forward = losses.Forward(
            clean=images,  # there is nothing to restore, and no term that is used reads these two
            image_logits=images,
            label=label,
            mean=tf.gather(centers, label),
            log_variance=2.0 * spreads + tf.zeros_like(z),
            z=z,
            centers=centers,
            class_logits=None if self._classify is None else self._classify(images),
        )
        return {**terms, **{name: losses.TERMS[name](forward) for name in self.term_weights}}
