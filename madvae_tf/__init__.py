"""MAD-VAE on TensorFlow: a variational autoencoder that purifies an image before a classifier sees it."""

__version__ = "0.1.0"
