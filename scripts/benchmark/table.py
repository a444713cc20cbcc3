"""What was measured, as markdown."""

from measure import COLUMNS
from slopes import bend, slope

_HEADS = {"wall": "wall", "cpu": "CPU", "pause": "pause"}


def milliseconds(seconds):
    value = seconds * 1000
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 1 else f"{value:.2f}"


def _machine(result):
    return (
        f"{result['machine']['cpu']}, {result['machine']['cores']} cores, "
        f"Linux {result['machine']['kernel']}; images in the page cache of {result['filesystem']}; "
        f"stock criu {result['criu']} (CRIU_FAULT={result['criu_fault']})"
        + "".join(f", for that of {suite} does not run here" for suite in result["criu_missing"])
        + ("" if result["run"] == "tmpfs" else f"; /run is on {result['run']}")
    )


def of_shapes(result):
    heads = " | ".join(f"{_HEADS[column]}: ours / stock | ratio" for column in COLUMNS)
    lines = [
        f"{_machine(result)}; medians of {result['rounds']} dumps each, in ms, and their ratio.",
        "",
        f"| | {heads} |",
        "|---" * 7 + "|",
    ]
    for row in result["rows"]:
        cells = [row["title"]]
        for column in COLUMNS:
            if column in row["ratio"]:
                ours, stock = row["ours"][column], row["stock"][column]
                cells.append(f"{milliseconds(ours)} / {milliseconds(stock)}")
                cells.append(f"**{row['ratio'][column]:.2f}**")
            else:
                cells += ["-", "-"]
        lines.append("| " + " | ".join(cells) + " |")
    quiet = max(row["quiet"] for row in result["rows"])
    lines += ["", f"Without a dump, the measuring thread sees pauses of {milliseconds(quiet)} ms."]
    lines += [words for row in result["rows"] if "writer gap" in row["ours"] for words in ("", _writer(row))]
    sizes = [_images(row) for row in result["rows"] if _sizes_differ(row)]
    lines += ["", "Images, in MB: " + "; ".join(sizes) + "."] if sizes else []
    floors = [_page_cache(row) for row in result["rows"] if "page cache" in row]
    if floors:
        lines += ["", "Page cache alone, wall and CPU and what part of stock's: " + "; ".join(floors) + "."]
    return "\n".join(lines)


def _writer(row):
    """What the thread that keeps writing has felt and paid: it touches what is dumped, and others not."""
    gap, cpu, after = (
        " / ".join(milliseconds(row[dumper][f"writer {name}"]) for dumper in ("ours", "stock"))
        for name in ("gap", "cpu", "after")
    )
    return (
        f"{row['title']}: that thread sees a gap of {gap} ms at most between two rounds "
        f"({milliseconds(row['quiet writer gap'])} without a dump); it ran {cpu} ms longer than for as many "
        f"rounds without one, which is part of CPU, and {after} in the second after."
    )


def _page_cache(row):
    shares = []
    for column in ("wall", "cpu"):
        alone, stock = row["page cache"][column], row["stock"][column]
        shares.append(f"{milliseconds(alone)} ({alone / stock:.2f})")
    return f"{row['title']}: " + ", ".join(shares)


def _sizes_differ(row):
    ours, stock = row["ours"]["bytes"], row["stock"]["bytes"]
    return abs(ours - stock) > max(ours, stock) / 10


def _images(row):
    ours, stock = (row[dumper]["bytes"] / 1e6 for dumper in ("ours", "stock"))
    return f"{row['title']}: {ours:,.1f} / {stock:,.1f}"


def of_slopes(result):
    heads = " | ".join(f"{_HEADS[column]}: ours / stock | bend" for column in COLUMNS)
    lines = [
        f"{_machine(result)}; ms for each unit, by a line through the medians of "
        f"{result['rounds']} dumps of each size. Bend: the slope of the last part over that of the "
        "first, ours / stock.",
        "",
        f"| for each | sizes | {heads} |",
        "|---" * 8 + "|",
    ]
    notes = []
    for row in result["rows"]:
        sizes = ", ".join(f"{size:g}" for size in row["sizes"])
        cells = [row["unit"], sizes]
        for column in COLUMNS:
            points = [row["points"].get(dumper, {}) for dumper in ("ours", "stock")]
            cells.append(" / ".join(_or_dash(slope(p, column), milliseconds) for p in points))
            cells.append(" / ".join(_or_dash(bend(p, column), "{:.2f}".format) for p in points))
        lines.append("| " + " | ".join(cells) + " |")
        notes += row["notes"]
    return "\n".join(lines + ([""] + notes if notes else []))


def _or_dash(value, text):
    return "-" if value is None else text(value)
