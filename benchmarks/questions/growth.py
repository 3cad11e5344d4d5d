"""Growth: seconds and peak memory of generation, training and evaluation for 1x, 4x and 16x the
images.

Time must be linear and memory flat. Each size runs in a process of its own, since a process's peak
never falls. Start-up and compilation are outside the seconds; everything is inside the peak.
"""

from benchmarks.rows import Row, row_of
from benchmarks.session import Session

WORK = ("generation", "training", "evaluation")
FACTORS = (4, 16)
# Time per image and memory may grow by a tenth.
TARGET = 0.9


def measure(session: Session) -> list[Row]:
    """Two rows for every kind of work and factor: time against linear growth, memory against that
    of 1x.
    """
    material = str(session.material())
    base = session.size(1000, 8)
    rows = []
    for work in WORK:

        def run(factor: int, work=work) -> dict[str, float]:
            def measured() -> dict[str, float]:
                with session.ours("ours_growth") as worker:
                    folder = session.folder / "growth" / f"{work}-{factor}"
                    arguments = {"material": material, "folder": str(folder.absolute())}
                    return worker.call(work, images=base * factor, **arguments)

            return session.once(f"growth/{work}-{factor}", measured)

        one = run(1)
        for factor in FACTORS:
            many = run(factor)
            time_ratio = many["seconds"] / one["seconds"]
            rows.append(
                row_of(
                    *(
                        "growth",
                        f"{work}, time, {factor}x of {base} images",
                        [time_ratio],
                        "linear",
                    ),
                    *([float(factor)], "x"),
                    target=TARGET,
                )
            )
            rows.append(
                row_of(
                    *("growth", f"{work}, memory, {factor}x of {base} images", [many["peak_mib"]]),
                    *("1x", [one["peak_mib"]], "MiB"),
                    target=TARGET,
                )
            )
    return rows
