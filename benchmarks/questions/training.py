"""Purifier training step, images/s: every variant against the same architecture and loss in
PyTorch, at its best.

PyTorch runs eager, in float32 and under bfloat16 autocast, contiguous and channels last. Which
layout is the better one is found first, for each batch and precision, on the vanilla loss; the
rounds then go ours, float32, bfloat16. Ours is mixed bfloat16, what the pipeline trains in where
the CPU has bfloat16 instructions, and float32 beside it.
"""

from benchmarks.rows import Row, interleave, row_of
from benchmarks.session import Session

VARIANTS = ("vanilla", "cls", "pd", "combined")
LAYOUTS = ("contiguous", "channels_last")
# Against PyTorch float32, against its best, and the share of the measured GEMM rate.
TARGETS = {"float32": 2.0, "bfloat16": 1.25}
LIMIT_TARGET = 0.5
_IMAGES = 640  # about so many images are one measurement


def measure(session: Session) -> list[Row]:
    """Rows for every batch, variant and peer; one for the share of the limit."""
    rates = session.rates()
    with session.ours("ours_training") as ours, session.peer("torch_training") as peer:
        flops = session.once(
            "training/flops", lambda: {v: ours.call("flops_per_image", variant=v) for v in VARIANTS}
        )
        rows = []
        for batch in session.size((64, 128, 512), (4,)):
            steps = max(session.size(_IMAGES, 1) // batch, 1)

            def torch_rate(
                variant: str, precision: str, layout: str, batch=batch, steps=steps
            ) -> float:
                return peer.call(
                    "images_per_second",
                    variant=variant,
                    batch=batch,
                    precision=precision,
                    layout=layout,
                    steps=steps,
                )

            def our_rate(variant: str, precision: str, batch=batch, steps=steps) -> float:
                return ours.call(
                    "images_per_second",
                    variant=variant,
                    batch=batch,
                    precision=precision,
                    steps=steps,
                )

            def layouts(torch_rate=torch_rate) -> dict[str, str]:
                best = {}
                for precision in TARGETS:
                    trials = interleave(
                        {
                            layout: lambda p=precision, at=layout: torch_rate("vanilla", p, at)
                            for layout in LAYOUTS
                        },
                        session.size(2, 1),
                    )
                    best[precision] = max(
                        LAYOUTS, key=lambda layout, seen=trials: max(seen[layout])
                    )
                return best

            best = session.once(f"training/layout-{batch}", layouts)
            for variant in VARIANTS:

                def rounds(
                    variant=variant, best=best, our_rate=our_rate, torch_rate=torch_rate
                ) -> dict[str, list[float]]:
                    contestants = {
                        "ours": lambda: our_rate(variant, "mixed_bfloat16"),
                        **{
                            p: lambda p=p, at=layout: torch_rate(variant, p, at)
                            for p, layout in best.items()
                        },
                    }
                    if variant == "vanilla":
                        contestants["ours float32"] = lambda: our_rate(variant, "float32")
                    for each in contestants.values():  # compiles, and is not counted
                        each()
                    measured = interleave(contestants, session.size(5, 1))
                    ours.call("forget")
                    peer.call("forget")
                    return measured

                measured = session.once(f"training/{batch}-{variant}", rounds)
                limit = rates["bfloat16"] / flops[variant]
                case = f"{variant}, batch {batch}"
                for precision, target in TARGETS.items():
                    name = f"PyTorch {precision}, {best[precision].replace('_', ' ')}"
                    rows.append(
                        row_of(
                            *(
                                "training",
                                case,
                                measured["ours"],
                                name,
                                measured[precision],
                                "images/s",
                            ),
                            target=target,
                            of_limit=max(measured["ours"]) / limit,
                        )
                    )
                if variant == "vanilla":
                    name = f"PyTorch float32, {best['float32'].replace('_', ' ')}"
                    rows.append(
                        row_of(
                            *("training", f"{case}, ours in float32", measured["ours float32"]),
                            *(name, measured["float32"], "images/s"),
                            of_limit=max(measured["ours float32"])
                            * flops[variant]
                            / rates["float32"],
                        )
                    )
                    # Counted FLOPs of ours over the measured rate of a matrix product in the same
                    # precision.
                    achieved = [rate * flops[variant] / 1e9 for rate in measured["ours"]]
                    half = [LIMIT_TARGET * rates["bfloat16"] / 1e9] * len(achieved)
                    rows.append(
                        row_of(
                            *("training", f"{case}: share of the machine", achieved),
                            *("half of the GEMM rate, bfloat16", half, "GFLOP/s"),
                            target=1.0,
                            of_limit=max(achieved) * 1e9 / rates["bfloat16"],
                        )
                    )
        return rows
