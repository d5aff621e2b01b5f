"""What the pages show, from a terminal: links that open, metrics, and what differs."""

import csv
import io
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest

from tests.serving import HUT, ROOT, Site, ended, serving, until

WRITES = """
echo '{"loss": %s, "by": "adam"}' > "$SCRIPTHUT_OUTPUT_DIR/metrics.json"
echo hello > "$SCRIPTHUT_OUTPUT_DIR/a b#1.txt"
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with serving(tmp_path_factory.mktemp("hut")) as site:
        yield site


@pytest.fixture(scope="module")
def runs(site: Site) -> list[str]:
    """Two runs of the same two tasks, the second with another loss in one of them."""
    found = []
    for loss in ("0.5", "0.25"):
        tasks = [
            {"id": "fit.1", "command": WRITES % loss},
            {"id": "fit.2", "command": WRITES % "0.1"},
        ]
        found.append(site.run(tasks, "study"))
    for run in found:
        ended(site, run)
        until(lambda run=run: len(site.get(f"/api/v1/runs/{run}/metrics").json["tasks"]) == 2)
    return found


def hut(site: Site, *words: str, **env: str) -> "subprocess.CompletedProcess[str]":
    surroundings = {name: value for name, value in os.environ.items() if "DISPLAY" not in name}
    ours = {"PYTHONPATH": str(ROOT), "COLUMNS": "120", "SCRIPTHUT_SERVER": site.url}
    return subprocess.run(
        [*HUT, *words],
        capture_output=True,
        text=True,
        env={**surroundings, **ours, **env},
        timeout=90,
        check=False,
    )


def test_links_lead_to_the_run_the_task_and_the_file(site: Site, runs: list[str]) -> None:
    run = runs[0]
    for words in ([run], [run, "fit.1"], [run, "fit.1", "a b#1.txt"]):
        done = hut(site, "outputs", "open", *words)
        assert done.returncode == 0, done.stderr
        with urlopen(done.stdout.strip()) as page:
            assert words[-1] in page.read().decode()


def test_a_browser_opens_the_link(site: Site, runs: list[str], tmp_path: Path) -> None:
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {tmp_path}/opened\n')
    browser.chmod(0o755)
    screen = {"DISPLAY": ":0", "BROWSER": f"{browser} %s"}

    done = hut(site, "outputs", "open", runs[0], **screen)

    assert until((tmp_path / "opened").read_text) == done.stdout
    (tmp_path / "opened").unlink()
    hut(site, "outputs", "open", runs[0], "--print", **screen)
    assert not (tmp_path / "opened").exists()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["outputs", "open", "nothing1"], "There is no run nothing1"),
        (["outputs", "open", "{run}", "fit.9"], "has no task fit.9"),
        (["outputs", "open", "{run}", "fit.1", "x.png"], "fit.1 wrote no x.png"),
        (["metrics", "nothing1"], "There is no run nothing1"),
        (["compare", "{run}", "nothing1"], "There is no run nothing1"),
    ],
)
def test_what_is_not_there_is_a_sentence(
    site: Site, runs: list[str], words: list[str], says: str
) -> None:
    done = hut(site, *(word.format(run=runs[0]) for word in words))
    assert done.returncode == 1
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_metrics_are_a_table_csv_and_json(site: Site, runs: list[str]) -> None:
    shown = hut(site, "metrics", runs[0], "--sort", "loss").stdout.splitlines()
    assert [line.split()[0] for line in shown] == ["Task", "fit.2", "fit.1"]
    down = hut(site, "metrics", runs[0], "--sort", "-loss", "--filter", "loss>0.2").stdout
    assert [line.split()[0] for line in down.splitlines()] == ["Task", "fit.1"]
    rows = list(csv.DictReader(io.StringIO(hut(site, "metrics", runs[0], "--csv").stdout)))
    assert rows[0]["loss"] == "0.5"
    told = json.loads(hut(site, "metrics", runs[0], "--json").stdout)
    assert told["names"] == ["loss", "by"]


def test_what_differs_between_two_runs_is_shown(site: Site, runs: list[str]) -> None:
    done = hut(site, "compare", *runs)
    assert done.returncode == 0, done.stderr
    assert "-0.25 (-50 %)" in done.stdout
    assert "fit.2" not in done.stdout, "it is the same"
    assert "metrics.json" in done.stdout
    assert f"{site.url}/compare?runs=" in done.stdout
    assert "fit.2" in hut(site, "compare", *runs, "--all").stdout
    assert json.loads(hut(site, "compare", *runs, "--json").stdout)["runs"] == runs
    assert hut(site, "compare", *runs, "--csv").stdout.startswith("task,metric,")
