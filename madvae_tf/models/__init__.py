"""Keras models: the classifier, the purifier, and their composition."""
