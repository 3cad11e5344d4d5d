"""`robust.norm_mix`: which norms the images of a batch are attacked in, one for each image of a
group.
"""

# In L-infinity; in L2 along the gradient; in L2 by the pixels that cross the squash's threshold.
KINDS = ("linf", "l2", "threshold_l2")


def norm_mix_problem(norm_mix: str, norm: str, squashed: bool) -> str:
    """What should have been given in the place of `norm_mix`; "" if it is right.

    Args:
        norm_mix: kinds joined by commas, or "".
        norm: of the training's attack; a mix is for "both" only.
        squashed: whether the purifier has a squash.
    """
    kinds = norm_mix.split(",") if norm_mix else []
    if kinds and norm != "both":
        return "none, or norm=both"
    if any(kind not in KINDS for kind in kinds):
        return f"names of {', '.join(KINDS)}, joined by commas"
    if "threshold_l2" in kinds and not squashed:
        return "a mix without threshold_l2, or a squash, whose threshold it crosses"
    return ""
