"""The playground: draw a digit or pick a test image, attack it, and see what a purifier makes of
it.

`python -m madvae_tf.playground` shows the page (package gradio, extra `playground`); `session` is
what it does, without any page.
"""
