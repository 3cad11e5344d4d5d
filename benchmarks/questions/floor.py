"""The floor: counted FLOPs of each thing that is done, and the seconds that the machine's GEMM rate
sets as the least.

The other questions carry the share of it that they reach as "of_limit"; here TensorFlow's matrix
product stands beside PyTorch's, so that the limit itself can be judged.
"""

from benchmarks.rows import Row, interleave, row_of
from benchmarks.session import Session


def measure(session: Session) -> list[Row]:
    """A row of the GEMM rates for each precision."""
    size = session.size(2048, 128)
    rows = []
    with session.ours("ours_floor") as ours, session.peer("torch_floor") as peer:

        def rounds() -> dict[str, dict[str, list[float]]]:
            ours.call("rates", size=size)
            peer.call("rates", size=size)
            found = {}
            for precision in ("float32", "bfloat16"):
                found[precision] = interleave(
                    {
                        "ours": lambda p=precision: ours.call("rates", size=size)[p] / 1e9,
                        "PyTorch": lambda p=precision: peer.call("rates", size=size)[p] / 1e9,
                    },
                    session.size(5, 1),
                )
            return found

        for precision, measured in session.once("floor/gemm", rounds).items():
            case = f"matrix product {size}, {precision}"
            rows.append(
                row_of("floor", case, measured["ours"], "PyTorch", measured["PyTorch"], "GFLOP/s")
            )
    return rows
