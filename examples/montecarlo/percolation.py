"""How full must a grid be before there is a way through? A Monte Carlo study in three commands.

    percolation.py sim 0.59     fill grids at random, count those with a way from top to bottom
    percolation.py merge        join what the simulations found
    percolation.py report       draw the curves and estimate the threshold

Plain Python (3.6 or newer) and its standard library, so that it runs on any cluster as it is. The
tasks meet in the directory of this file, which is on the disk that all nodes share.
"""

import csv
import os
import random
import struct
import sys
import zlib
from pathlib import Path

SIZES = (16, 32, 64)  # cells along the side of a square grid
TRIALS = 100  # grids of each size
THEORY = 0.5927  # where an endless grid gets a way through
PICTURE, SCALE = 96, 4  # cells along the side of the pictured grid, pixels along a cell
PALETTE = {"empty": 0xF6F8FA, "full": 0xB6C4D6, "way": 0xD9480F}
COLOURS = {16: "#8fb3de", 32: "#3b78c3", 64: "#12376b"}

SHARED = Path(__file__).resolve().parent
OUT = Path(os.environ["SCRIPTHUT_OUTPUT_DIR"])
TASK_SUMMARY = Path(os.environ["SCRIPTHUT_TASK_SUMMARY"])
RUN_SUMMARY = Path(os.environ["SCRIPTHUT_RUN_SUMMARY"])


def sim(p):
    """Simulate grids whose cells are open with probability `p`."""
    dice = random.Random(f"percolation {p}")  # the same numbers every time the study is run
    rows = [(p, size, TRIALS, sum(is_open(size, p, dice) for _ in range(TRIALS))) for size in SIZES]
    write_csv(SHARED / f"sim-{p:.2f}.csv", rows)
    write_csv(OUT / "counts.csv", rows)
    grid = fill(PICTURE, p, dice)
    (OUT / "grid.png").write_bytes(png(grid, way_through(grid)))
    open_share = rows[-1][3] / TRIALS
    TASK_SUMMARY.write_text(
        f"### Grids that are {p:.0%} full\n\n"
        "| side | grids | with a way through | share |\n|---:|---:|---:|---:|\n"
        + "".join(f"| {size} | {n} | {k} | {k / n:.0%} |\n" for _, size, n, k in rows)
        + f"\n![One grid of {PICTURE} × {PICTURE} cells](grid.png)\n\n"
        "Grey cells are open, orange ones can be reached from the top.\n",
        encoding="utf-8",
    )
    bar = "█" * round(open_share * 20)
    RUN_SUMMARY.write_text(f"`{bar:░<20}` {open_share:4.0%} have a way through\n", encoding="utf-8")


def fill(size, p, dice):
    """A grid of open (True) and closed cells, as a list of rows."""
    return [[dice.random() < p for _ in range(size)] for _ in range(size)]


def way_through(grid):
    """The open cells that can be reached from the top row, stepping to the four neighbours."""
    size = len(grid)
    todo = [(0, x) for x in range(size) if grid[0][x]]
    seen = set(todo)
    while todo:
        y, x = todo.pop()
        for cell in ((y + 1, x), (y, x - 1), (y, x + 1), (y - 1, x)):
            y1, x1 = cell
            if 0 <= y1 < size and 0 <= x1 < size and grid[y1][x1] and cell not in seen:
                seen.add(cell)
                todo.append(cell)
    return seen


def is_open(size, p, dice):
    """Whether a random grid has a way from its top row to its bottom row."""
    reached = way_through(fill(size, p, dice))
    return any((size - 1, x) in reached for x in range(size))


def merge():
    """Join the counts of all simulations."""
    rows = read_counts()
    write_csv(SHARED / "counts.csv", rows)
    write_csv(OUT / "counts.csv", rows)
    share = {(p, size): k / n for p, size, n, k in rows}
    TASK_SUMMARY.write_text(
        "### Share of grids with a way through\n\n"
        "| full | " + " | ".join(f"{size} × {size}" for size in SIZES) + " |\n"
        "|---:|"
        + "---:|" * len(SIZES)
        + "\n"
        + "".join(
            f"| {p:.0%} | " + " | ".join(f"{share[p, size]:.0%}" for size in SIZES) + " |\n"
            for p in sorted({row[0] for row in rows})
        ),
        encoding="utf-8",
    )
    grids = sum(n for _, _, n, _ in rows)
    RUN_SUMMARY.write_text(f"Joined the counts of **{grids:,}** grids.\n", encoding="utf-8")


def report():
    """Draw the curves and say where the threshold is."""
    rows = read_counts()
    curves = {size: [(p, k / n) for p, s, n, k in rows if s == size] for size in SIZES}
    (OUT / "curves.svg").write_text(svg(curves), encoding="utf-8")
    half = {size: crossing(curve, 0.5) for size, curve in curves.items()}
    width = {size: crossing(c, 0.8) - crossing(c, 0.2) for size, c in curves.items()}
    best = half[SIZES[-1]]
    text = (
        f"### A way opens at **{best:.1%}**\n\n"
        f"![Share of grids with a way through, by how full they are](curves.svg)\n\n"
        "| grid | half of them are open at | from 20 % to 80 % open within |\n|---|---:|---:|\n"
        + "".join(
            f"| {size} × {size} | {half[size]:.1%} | {100 * width[size]:.1f} points |\n"
            for size in SIZES
        )
        + f"\nThe larger the grid, the sharper the step. An endless one opens at {THEORY:.2%}.\n"
    )
    TASK_SUMMARY.write_text(text, encoding="utf-8")
    RUN_SUMMARY.write_text(text, encoding="utf-8")


def crossing(curve, level):
    """Where a curve first rises above a level, on the straight line between two points."""
    for (p0, s0), (p1, s1) in zip(curve, curve[1:]):
        if s0 < level <= s1:
            return p0 + (p1 - p0) * (level - s0) / (s1 - s0)
    return curve[-1][0]


def read_counts():
    """The rows of all simulations: full, side, grids, grids with a way through; sorted."""
    rows = []
    for path in SHARED.glob("sim-*.csv"):
        with path.open(newline="", encoding="utf-8") as file:
            rows += [
                (float(p), int(s), int(n), int(k)) for p, s, n, k in list(csv.reader(file))[1:]
            ]
    return sorted(rows)


def write_csv(path, rows):
    """Write rows under their heading."""
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("full", "side", "grids", "open"), *rows])


def png(grid, way):
    """A picture of a grid as the bytes of a PNG file: three colours, by palette."""
    side = len(grid) * SCALE
    lines = bytearray()
    for y, row in enumerate(grid):
        cells = (2 if (y, x) in way else int(cell) for x, cell in enumerate(row))
        line = b"".join(bytes([cell]) * SCALE for cell in cells)
        lines += (b"\0" + line) * SCALE  # each line begins with its filter: none

    def chunk(kind, data):
        check = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)

    header = struct.pack(">IIBBBBB", side, side, 8, 3, 0, 0, 0)  # 8 bits, palette
    palette = b"".join(colour.to_bytes(3, "big") for colour in PALETTE.values())
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"PLTE", palette)
        + chunk(b"IDAT", zlib.compress(bytes(lines), 9))
        + chunk(b"IEND", b"")
    )


def svg(curves):
    """The curves as an SVG drawing."""
    low, high = (min(p for p, _ in curves[SIZES[0]]), max(p for p, _ in curves[SIZES[0]]))

    def x(p):
        return 64 + 560 * (p - low) / (high - low)

    def y(share):
        return 344 - 300 * share

    text = 'font-family="system-ui, sans-serif" font-size="13"'
    parts = [
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 720 400" width="720" height="400">',
        '<rect width="720" height="400" rx="8" fill="#ffffff"/>',
    ]
    for i in range(5):
        share = i / 4
        parts.append(f'<path d="M64 {y(share):.1f}H624" stroke="#e6e9ee"/>')
        parts.append(
            f'<text x="54" y="{y(share) + 4:.1f}" {text} fill="#5b6675" '
            f'text-anchor="end">{share:.0%}</text>'
        )
    for p, _ in curves[SIZES[0]][::2]:
        parts.append(
            f'<text x="{x(p):.1f}" y="366" {text} fill="#5b6675" '
            f'text-anchor="middle">{p:.0%}</text>'
        )
    parts.append(
        f'<path d="M{x(THEORY):.1f} 44V344" stroke="#d9480f" stroke-dasharray="4 4"/>'
        f'<text x="{x(THEORY):.1f}" y="34" {text} fill="#d9480f" text-anchor="middle">'
        f"endless grid {THEORY:.2%}</text>"
        f'<text x="344" y="390" {text} fill="#1f2933" text-anchor="middle">'
        "how full the grid is</text>"
    )
    for size, curve in curves.items():
        points = " ".join(f"{x(p):.1f},{y(share):.1f}" for p, share in curve)
        parts.append(
            f'<polyline points="{points}" fill="none" stroke="{COLOURS[size]}" '
            'stroke-width="2.5" stroke-linejoin="round"/>'
        )
        parts += [
            f'<circle cx="{x(p):.1f}" cy="{y(share):.1f}" r="3" fill="{COLOURS[size]}"/>'
            for p, share in curve
        ]
    for i, size in enumerate(SIZES):  # the key
        at = 300 - 22 * (len(SIZES) - 1 - i)
        parts.append(
            f'<path d="M520 {at}h24" stroke="{COLOURS[size]}" stroke-width="2.5"/>'
            f'<text x="552" y="{at + 4}" {text} fill="#1f2933">{size} × {size}</text>'
        )
    return "\n".join([*parts, "</svg>\n"])


COMMANDS = {"sim": lambda p: sim(float(p)), "merge": merge, "report": report}

if __name__ == "__main__":
    COMMANDS[sys.argv[1]](*sys.argv[2:])
