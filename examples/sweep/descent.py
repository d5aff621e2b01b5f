"""How fast may a ball roll down a bent valley? A sweep over step sizes, in plain Python.

    descent.py fit 0.002 0.9     follow the slope with this step size and this momentum
    descent.py best              say which of them came closest

Plain Python (3.6 or newer) and its standard library, so that it runs on any cluster as it is.
Every fit writes metrics.json, metrics.jsonl and path.png: nothing else is needed to compare them.
"""

import json
import math
import os
import struct
import sys
import zlib
from pathlib import Path

STEPS = int(os.environ.get("STEPS", "400"))
START, GOAL = (-1.2, 1.0), (1.0, 1.0)
WIDTH, HEIGHT = 360, 240  # pixels of the picture
VIEW = (-1.8, 1.8, -0.6, 1.8)  # left, right, bottom, top
NEAR, FAR = (18, 55, 107), (236, 241, 248)  # colours of low and of high ground

SHARED = Path(__file__).resolve().parent
OUT = Path(os.environ["SCRIPTHUT_OUTPUT_DIR"])


def height(x, y):
    """Rosenbrock's valley: bent, flat along its floor, steep at its sides."""
    return (1 - x) ** 2 + 100 * (y - x * x) ** 2


def slope(x, y):
    """Which way it rises."""
    return -2 * (1 - x) - 400 * x * (y - x * x), 200 * (y - x * x)


def fit(rate, momentum):
    """Roll down with a step size and a momentum, and write down how it went."""
    (x, y), (vx, vy), path, lost = START, (0.0, 0.0), [START], False
    with (OUT / "metrics.jsonl").open("w") as rows:
        for step in range(STEPS + 1):
            loss = height(x, y) if not lost else math.nan
            if step % 4 == 0:
                rows.write(json.dumps({"step": step, "loss": loss}) + "\n")
                rows.flush()
            dx, dy = slope(x, y) if not lost else (0.0, 0.0)
            vx, vy = momentum * vx - rate * dx, momentum * vy - rate * dy
            x, y = x + vx, y + vy
            lost = lost or not (abs(x) < 1e6 and abs(y) < 1e6)
            path.append((x, y) if not lost else path[-1])
    found = {
        "rate": rate,
        "momentum": momentum,
        "loss": math.nan if lost else height(x, y),
        "distance": math.nan if lost else math.hypot(x - GOAL[0], y - GOAL[1]),
        "end": {"x": None if lost else round(x, 4), "y": None if lost else round(y, 4)},
        "verdict": "flew off"
        if lost
        else "arrived"
        if math.hypot(x - GOAL[0], y - GOAL[1]) < 0.05
        else "short",
    }
    (OUT / "metrics.json").write_text(json.dumps(found, indent=1))
    (SHARED / f"fit-{rate}-{momentum}.json").write_text(json.dumps(found))
    (OUT / "path.png").write_bytes(picture(path))
    Path(os.environ["SCRIPTHUT_TASK_SUMMARY"]).write_text(
        f"### Step size {rate}, momentum {momentum}\n\n"
        f"| | |\n|---|---:|\n| steps | {STEPS} |\n| loss | {found['loss']:.5f} |\n"
        f"| distance | {found['distance']:.4f} |\n\n![The way down](path.png)\n",
        encoding="utf-8",
    )


def best():
    """Order what the fits found."""
    found = [json.loads(path.read_text()) for path in sorted(SHARED.glob("fit-*.json"))]
    order = sorted(found, key=lambda one: (math.isnan(one["loss"]), one["loss"]))
    (OUT / "metrics.json").write_text(
        json.dumps(
            {
                "best": order[0],
                "arrived": sum(one["verdict"] == "arrived" for one in found),
                "flew_off": sum(one["verdict"] == "flew off" for one in found),
            }
        )
    )
    Path(os.environ["SCRIPTHUT_RUN_SUMMARY"]).write_text(
        "```mermaid\nflowchart LR\n  prepare --> fits[24 fits] --> best\n"
        f"  best --> answer([rate {order[0]['rate']}, momentum {order[0]['momentum']}])\n```\n\n"
        "| step size | momentum | loss | verdict |\n|---:|---:|---:|---|\n"
        + "".join(
            "| {rate} | {momentum} | {loss:.5f} | {verdict} |\n".format(**one) for one in order[:5]
        ),
        encoding="utf-8",
    )


def picture(path):
    """The valley from above with the way that was taken, as the bytes of a PNG file."""
    left, right, bottom, top = VIEW
    pixels = []
    for row in range(HEIGHT):
        y = top - (top - bottom) * row / HEIGHT
        line = []
        for column in range(WIDTH):
            share = math.log1p(height(left + (right - left) * column / WIDTH, y)) / 7
            share = min(1.0, round(share * 16) / 16)  # in bands, as a map has them
            line.append(tuple(int(a + (b - a) * share) for a, b in zip(NEAR, FAR)))
        pixels.append(line)
    for (x0, y0), (x1, y1) in zip(path, path[1:]):
        for part in range(9):
            x, y = x0 + (x1 - x0) * part / 8, y0 + (y1 - y0) * part / 8
            dot(pixels, x, y, 1, (217, 72, 15))
    dot(pixels, *START, 4, (255, 255, 255))
    dot(pixels, *GOAL, 4, (43, 138, 62))
    raw = b"".join(b"\0" + bytes(value for pixel in line for value in pixel) for line in pixels)

    def chunk(kind, data):
        check = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)

    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 2, 0, 0, 0)  # 8 bits, red, green, blue
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(raw, 9))
        + chunk(b"IEND", b"")
    )


def dot(pixels, x, y, size, colour):
    """Set a square of pixels around a place, as far as it is in the picture."""
    left, right, bottom, top = VIEW
    if not (left <= x <= right and bottom <= y <= top):
        return
    column, row = int((x - left) / (right - left) * WIDTH), int((top - y) / (top - bottom) * HEIGHT)
    for j in range(max(0, row - size), min(HEIGHT, row + size + 1)):
        for i in range(max(0, column - size), min(WIDTH, column + size + 1)):
            pixels[j][i] = colour


COMMANDS = {"fit": lambda rate, momentum: fit(float(rate), float(momentum)), "best": best}

if __name__ == "__main__":
    COMMANDS[sys.argv[1]](*sys.argv[2:])
