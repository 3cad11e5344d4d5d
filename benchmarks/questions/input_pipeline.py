"""The input pipeline's share of a training step: steps fed by it against steps on a batch that
stays in memory.
"""

from benchmarks.rows import Row, interleave, row_of
from benchmarks.session import Session

BOUND = 3.0
# Noise may make the difference negative; a row needs a positive number.
_LEAST = 0.01


def measure(session: Session) -> list[Row]:
    """One row for each batch size: per cent of a step, median of the rounds, against the bound."""
    rows = []
    with session.ours("ours_feeding") as worker:
        for batch in session.size((32, 128), (2,)):
            steps = session.size(max(1280 // batch, 1), 1)

            def rounds(batch=batch, steps=steps) -> list[float]:
                worker.call(
                    "prepare", folder=str((session.folder / "pairs").absolute()), batch=batch
                )
                measured = interleave(
                    {
                        "fed": lambda: worker.call("seconds", fed=True, steps=steps),
                        "held": lambda: worker.call("seconds", fed=False, steps=steps),
                    },
                    session.size(9, 1),
                )
                return [
                    100 * (fed - held) / fed
                    for fed, held in zip(measured["fed"], measured["held"], strict=True)
                ]

            shares = sorted(session.once(f"input_pipeline/{batch}", rounds))
            share = max(shares[len(shares) // 2], _LEAST)
            case = f"mixed bfloat16, batch {batch}"
            rows.append(
                row_of("input_pipeline", case, [share], "bound", [BOUND], "% of a step", target=1.0)
            )
    return rows
