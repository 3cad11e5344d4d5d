"""Data: where the images come from, how they reach TFDS, and the adversarial sets on disk."""
