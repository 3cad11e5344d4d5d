"""Purifying, ms an image at batch 1, 32 and 256: the SavedModel's signature against the same
architecture in PyTorch.

A purifier's time does not depend on its weights, so new ones are exported.
"""

from benchmarks.rows import Row, interleave, row_of
from benchmarks.session import Session

LAYOUTS = ("contiguous", "channels_last")


def measure(session: Session) -> list[Row]:
    """A row for every batch, against the faster of PyTorch's layouts."""
    rates = session.rates()
    export = session.folder / "export"
    rows = []
    with session.ours("ours_latency") as ours, session.peer("torch_latency") as peer:
        ours.call("load", folder=str(export.absolute()))
        flops = session.once("latency/flops", lambda: ours.call("flops_per_image"))
        for batch in session.size((1, 32, 256), (1, 2)):
            calls = session.size(max(256 // batch, 3), 1)

            def rounds(batch=batch, calls=calls) -> dict[str, list[float]]:
                contestants = {
                    "ours": lambda: ours.call("milliseconds", batch=batch, calls=calls),
                    **{
                        layout: lambda at=layout: peer.call(
                            "milliseconds", batch=batch, calls=calls, layout=at
                        )
                        for layout in LAYOUTS
                    },
                }
                for each in contestants.values():
                    each()
                return interleave(contestants, session.size(9, 1))

            measured = session.once(f"latency/{batch}", rounds)
            best = min(LAYOUTS, key=lambda layout, seen=measured: min(seen[layout]))
            limit = 1000 * flops / rates["float32"]
            name = f"PyTorch float32, {best.replace('_', ' ')}"
            rows.append(
                row_of(
                    *("latency", f"purify, batch {batch}", measured["ours"], name, measured[best]),
                    "ms/image",
                    of_limit=limit / min(measured["ours"]),
                )
            )
    return rows
