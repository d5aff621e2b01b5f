"""Tests side by side: which ones share a process, and which groups begin first.

A Slurm cluster, a login node and a browser are started once in a process, so the tests of each
stay together; the others stay with their file, whose fixtures they share. The longest groups begin
first, so that none is waited for at the end.
"""

import re

import pytest

# The first row that fits gives a test its group: what its id begins with, or a fixture of it.
BY_PLACE = {"tests/stories/test_faults": "faults", "tests/stories/test_soak": "soak"}
BY_FIXTURE = {"slurm": "slurm", "login_node": "login", "browser": "browser"}
FIRST = ("soak", "faults", "slurm", "browser", "login")
_GROUP = re.compile(r"@group-[^@]*$")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Give each test its group, in a process that is one of several."""
    if not hasattr(config, "workerinput"):
        return
    for item in items:
        item.add_marker(pytest.mark.xdist_group(f"group-{group(item)}"))
    rank = {name: place for place, name in enumerate(FIRST)}
    items.sort(key=lambda item: rank.get(group(item), len(FIRST)))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Call a test by its own name: people and `--last-failed` know nothing of groups."""
    report.nodeid = _GROUP.sub("", report.nodeid)


def group(item: pytest.Item) -> str:
    """The name of a test's group."""
    by_place = (name for start, name in BY_PLACE.items() if item.nodeid.startswith(start))
    fixtures = getattr(item, "fixturenames", ())
    by_fixture = (name for fixture, name in BY_FIXTURE.items() if fixture in fixtures)
    return next(by_place, None) or next(by_fixture, None) or item.nodeid.partition("::")[0]
