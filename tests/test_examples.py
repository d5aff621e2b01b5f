"""The examples run as they are, and look the way the documents say."""

import json
import struct
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from scripthut.core.workflow.document import parse
from tests.serving import HUT, ROOT, Site, ended, serving, until

EXAMPLES = ROOT / "examples"
SVG = "{http://www.w3.org/2000/svg}"


def read(name: str) -> Any:
    return json.loads((EXAMPLES / name).read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.json")), ids=lambda p: p.name)
def test_an_example_is_a_valid_document(path: Path) -> None:
    document = parse(read(path.name))
    for task in document.tasks:
        checked = subprocess.run(
            ["bash", "-n", "-c", task.command], capture_output=True, check=False
        )
        assert checked.returncode == 0, checked.stderr


def test_the_smallest_example_has_five_lines_and_stands_in_the_readme() -> None:
    text = (EXAMPLES / "hello.json").read_text()
    assert len(text.splitlines()) == 5
    assert text in (ROOT / "README.md").read_text()


@pytest.mark.parametrize(("name", "count"), [("montecarlo", 20), ("sweep", 26)])
def test_a_study_has_its_tasks_and_carries_its_program(
    tmp_path: Path, name: str, count: int
) -> None:
    assert len(read(f"{name}.json")["tasks"]) == count
    script = "import runpy, sys; sys.stdout.write(runpy.run_path(sys.argv[1])['document']())"
    made = subprocess.run(
        [sys.executable, "-c", script, str(EXAMPLES / name / "document.py")],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    assert made.stdout == (EXAMPLES / f"{name}.json").read_text(encoding="utf-8"), (
        f"run `python3 examples/{name}/document.py` after changing the study"
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with serving(tmp_path_factory.mktemp("hut")) as site:
        yield site


def start(site: Site, name: str) -> str:
    words = [*HUT, "submit", str(EXAMPLES / name), "--backend", "local", "--server", site.url]
    done = subprocess.run(words, capture_output=True, text=True, check=True, cwd=ROOT)
    link = done.stdout.strip()
    assert link.startswith(f"{site.url}/runs/")
    return link.rsplit("/", 1)[1]


def sections(site: Site, run: str) -> list[dict[str, str]]:
    found: list[dict[str, str]] = site.get(f"/api/v1/runs/{run}/summary").json["sections"]
    return found


def test_the_smallest_example_says_hello(site: Site) -> None:
    run = start(site, "hello.json")
    assert ended(site, run)["status"] == "completed"
    (section,) = until(lambda: sections(site, run))
    assert "Hello from <strong>" in section["html"]


@pytest.fixture(scope="module")
def study(site: Site) -> str:
    run = start(site, "montecarlo.json")
    told = ended(site, run)
    assert {task["id"]: task["status"] for task in told["tasks"]} == {
        task["id"]: "completed" for task in read("montecarlo.json")["tasks"]
    }
    until(lambda: len(sections(site, run)) == 20)
    return run


def files(site: Site, run: str, task: str) -> dict[str, dict[str, Any]]:
    found = until(lambda: site.get(f"/api/v1/runs/{run}/tasks/{task}/outputs").json["files"])
    return {file["path"]: file for file in found}


def test_the_run_summary_is_joined_from_all_tasks_in_their_order(site: Site, study: str) -> None:
    told = sections(site, study)
    order = [section["task_id"] for section in told]
    assert (order[0], order[-2:]) == ("prepare", ["merge", "report"])
    assert sorted(order[1:-2]) == [f"sim.{n}" for n in range(51, 68)]
    last = told[-1]["html"]
    assert "A way opens at" in last
    assert "<table" in last
    assert "curves.svg" in last


def test_the_plots_are_pictures(site: Site, study: str) -> None:
    png = site.get(files(site, study, "sim.59")["grid.png"]["url"])
    assert png.headers["content-type"] == "image/png"
    width, height = struct.unpack(">II", png.body[16:24])
    at = png.body.index(b"IDAT")
    (length,) = struct.unpack(">I", png.body[at - 4 : at])
    pixels = zlib.decompress(png.body[at + 4 : at + 4 + length])
    assert len(pixels) == height * (width + 1)
    svg = site.get(files(site, study, "report")["curves.svg"]["url"])
    assert svg.headers["content-type"].startswith("image/svg+xml")
    assert len(ElementTree.fromstring(svg.body).findall(f"{SVG}polyline")) == 3


def test_the_study_finds_the_known_threshold(site: Site, study: str) -> None:
    report = site.get(files(site, study, "report")["task-summary.md"]["url"]).text
    found = float(report.split("**")[1].rstrip("%"))
    assert abs(found - 59.27) < 1.0


def test_the_tables_can_be_downloaded(site: Site, study: str) -> None:
    table = site.get(files(site, study, "merge")["counts.csv"]["url"]).text.splitlines()
    assert table[0] == "full,side,grids,open"
    assert len(table) == 1 + 17 * 3


@pytest.fixture(scope="module")
def sweep(site: Site) -> str:
    run = start(site, "sweep.json")
    assert ended(site, run)["status"] == "completed"
    return run


def test_the_sweep_is_compared_without_a_library(site: Site, sweep: str) -> None:
    def measured() -> dict[str, Any] | None:
        told = site.get(f"/api/v1/runs/{sweep}/metrics?sort=loss&q=fit.").json["tasks"]
        return told if len(told) == 24 else None

    told = until(measured)
    assert told[0]["metrics"]["verdict"] == "arrived"
    assert told[-1]["metrics"]["loss"] == "NaN", "with too large steps it flies off"
    course = site.get(f"/api/v1/runs/{sweep}/metrics/curves?name=loss").json["tasks"]
    assert len(course) == 24
    assert course[0]["x"][-1] == 400
