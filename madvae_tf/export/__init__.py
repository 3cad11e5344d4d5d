"""Purifier and classifier as SavedModels and as TensorFlow Lite models."""
