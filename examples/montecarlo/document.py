"""Write ../montecarlo.json: the study's twenty tasks, with percolation.py inside the first one.

A document is sent alone, so it must carry its program: `python3 examples/montecarlo/document.py`
puts it in after a change. Everything else in the document is as one would write it by hand.
"""

import json
from pathlib import Path

HERE = Path(__file__).resolve().parent
FOLDER = "~/.cache/scripthut/examples"  # in the home, which a cluster's nodes share
PROGRAM = '"$SCRIPTHUT_RUN_ID"/percolation.py'
SMALL = {"memory": "512M", "time_limit": "10:00"}
INTRO = (
    "Cells of a square grid are open at random. **How full must the grid be before a way leads "
    "from its top to its bottom?** Seventeen simulations try one density each, `merge` joins "
    "their counts, `report` draws the curves."
)


def prepare() -> str:
    """The command that puts the program where the other tasks find it."""
    program = (HERE / "percolation.py").read_text(encoding="utf-8")
    return (
        f'mkdir -p {FOLDER}/"$SCRIPTHUT_RUN_ID"\n'
        f"cat > {FOLDER}/{PROGRAM} <<'PYTHON'\n{program}PYTHON\n"
        f"cat > \"$SCRIPTHUT_RUN_SUMMARY\" <<'TEXT'\n{INTRO}\nTEXT\n"
    )


def tasks() -> list[dict[str, object]]:
    """The tasks in their order."""

    def run(words: str) -> dict[str, object]:
        return {"working_dir": FOLDER, "command": f"python3 {PROGRAM} {words}", **SMALL}

    sims = [
        {"id": f"sim.{n}", "name": f"{n} % full", "deps": ["prepare"], **run(f"sim 0.{n}")}
        for n in range(51, 68)
    ]
    return [
        {"id": "prepare", "name": "prepare", "command": prepare(), **SMALL},
        *sims,
        {"id": "merge", "name": "merge", "deps": ["sim.*"], **run("merge")},
        {"id": "report", "name": "report", "deps": ["merge"], **run("report")},
    ]


def document() -> str:
    """The document as text, one task a line."""
    lines = ",\n".join(f"    {json.dumps(task, ensure_ascii=False)}" for task in tasks())
    return f'{{\n  "title": "Percolation: a Monte Carlo study",\n  "tasks": [\n{lines}\n  ]\n}}\n'


if __name__ == "__main__":
    (HERE.parent / "montecarlo.json").write_text(document(), encoding="utf-8")
