"""How a dump grows with what it is of: a line through some sizes, and how much it bends."""

from measure import COLUMNS, TooSlow, medians
from target import BenchFailure


def measure_axis(axis, bench, rounds, limit, say):
    """Medians by dumper and size. Who takes more than `limit` seconds, or fails, is spared the larger
    sizes, and there is a sentence on it in "notes"."""
    points = {dumper: {} for dumper in bench.programs}
    notes = {}
    stopped = {}
    for size in axis.sizes:
        with bench.target(axis.shape(size)) as target:
            samples = {dumper: [] for dumper in bench.programs}
            for i in range(rounds + 1):  # the first does not count
                for dumper in bench.programs:
                    if dumper in stopped:
                        continue
                    try:
                        sample = bench.dump(dumper, target, False, axis.bytes_of(size), limit)
                    except TooSlow:
                        stopped[dumper] = f"takes more than {limit} s"
                        continue
                    except BenchFailure as failure:
                        say(str(failure))
                        stopped[dumper] = "fails"
                        continue
                    if i > 0:
                        samples[dumper].append(sample)
        for dumper in stopped.keys() - notes.keys():
            notes[dumper] = f"{dumper} {stopped[dumper]} with {size:g} x {axis.unit}."
        for dumper, measured in samples.items():
            if measured and dumper not in stopped:
                points[dumper][size] = medians(measured)
                say(f"{axis.title}, {size:g} x {axis.unit}, {dumper}: {_in_words(points[dumper][size])}")
    return {"points": points, "notes": list(notes.values())}


def _in_words(point):
    return ", ".join(f"{name} {point[name] * 1000:,.1f} ms" for name in COLUMNS)


def slope(points, column):
    """In seconds per unit, by least squares; None of less than two sizes."""
    if len(points) < 2:
        return None
    xs = list(points)
    ys = [points[x][column] for x in xs]
    x0, y0 = sum(xs) / len(xs), sum(ys) / len(ys)
    return sum((x - x0) * (y - y0) for x, y in zip(xs, ys)) / sum((x - x0) ** 2 for x in xs)


def bend(points, column):
    """The slope between the last two sizes over that between the first two; None of less than three,
    and where the first is no growth."""
    if len(points) < 3:
        return None
    (xa, xb), (xy, xz) = list(points)[:2], list(points)[-2:]
    first = (points[xb][column] - points[xa][column]) / (xb - xa)
    last = (points[xz][column] - points[xy][column]) / (xz - xy)
    return last / first if first > 0 else None
