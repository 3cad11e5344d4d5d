"""What the images of a batch are attacked by in turn while `robust` trains: kinds joined by commas, one for each image of a group."""

# In L-infinity; in L2 along the gradient; in L2 by the pixels that cross the squash.
KINDS = ("linf", "l2", "crossing")


def turns_problem(turns: str, norm: str, squashed: bool) -> str:
    """What should have been given in the place of `turns`; "" if it is right.

    Args:
        turns: kinds joined by commas, or "".
        norm: of the training's attack; turns are for "both" only.
        squashed: whether the purifier has a squash.
    """
    kinds = turns.split(",") if turns else []
    if kinds and norm != "both":
        return "none, or robust.norm=both"
    if any(kind not in KINDS for kind in kinds):
        return f"names of {', '.join(KINDS)}, joined by commas"
    return "turns without crossing, or a squash to cross" if "crossing" in kinds and not squashed else ""
