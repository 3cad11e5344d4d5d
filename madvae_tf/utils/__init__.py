"""What every package may use: errors, checks of images, progress, signals, TensorFlow's settings.
It imports nothing of the project.
"""
