"""Write ../sweep.json: a sweep over two parameters, with descent.py inside its first task.

A document is sent alone, so it must carry its program: `python3 examples/sweep/document.py`
puts it in after a change. Everything else in the document is as one would write it by hand.
"""

import json
from pathlib import Path

HERE = Path(__file__).resolve().parent
FOLDER = "~/.cache/scripthut/examples"  # in the home, which a cluster's nodes share
PROGRAM = '"$SCRIPTHUT_RUN_ID"/descent.py'
SMALL = {"memory": "512M", "time_limit": "10:00"}
RATES = ("0.0002", "0.0005", "0.001", "0.002", "0.003", "0.006")
MOMENTA = ("0", "0.5", "0.8", "0.9")


def prepare() -> str:
    """The command that puts the program where the other tasks find it."""
    program = (HERE / "descent.py").read_text(encoding="utf-8")
    return (
        f'mkdir -p {FOLDER}/"$SCRIPTHUT_RUN_ID"\n'
        f"cat > {FOLDER}/{PROGRAM} <<'PYTHON'\n{program}PYTHON\n"
    )


def tasks() -> list[dict[str, object]]:
    """The tasks in their order."""

    def run(words: str) -> dict[str, object]:
        return {"working_dir": FOLDER, "command": f"python3 {PROGRAM} {words}", **SMALL}

    fits = [
        {
            "id": f"fit.r{rate[2:]}-m{momentum.removeprefix('0.')}",
            "name": f"rate {rate}, momentum {momentum}",
            "deps": ["prepare"],
            **run(f"fit {rate} {momentum}"),
        }
        for rate in RATES
        for momentum in MOMENTA
    ]
    return [
        {"id": "prepare", "name": "prepare", "command": prepare(), **SMALL},
        *fits,
        {"id": "best", "name": "best", "deps": ["fit.*"], **run("best")},
    ]


def document() -> str:
    """The document as text, one task a line."""
    lines = ",\n".join(f"    {json.dumps(task, ensure_ascii=False)}" for task in tasks())
    return f'{{\n  "title": "Descent: a sweep",\n  "tasks": [\n{lines}\n  ]\n}}\n'


if __name__ == "__main__":
    (HERE.parent / "sweep.json").write_text(document(), encoding="utf-8")
