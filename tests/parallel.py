"""Tests side by side: which ones share a process, and which groups begin first.

A Slurm cluster, a login node and a browser are started once in a process, so the tests of each
stay together; the others stay with their file, whose fixtures they share. The longest groups begin
first, so that none is waited for at the end.
"""

import gc
from fnmatch import fnmatchcase

import pytest
from xdist.scheduler import LoadScopeScheduling, Scheduling

# The first row that fits a test, or its file, gives it its group. Three groups have a cluster each,
# and about as much to wait for.
GROUPS = (
    ("tests/stories/test_soak.py", "soak"),
    ("tests/stories/test_steps.py", "soak"),
    ("tests/stories/test_arrays.py", "soak"),
    ("tests/stories/test_faults.py", "faults"),
    ("tests/backends/test_node.py", "login"),
    ("tests/backends/*::*[Ss]lurm*", "faults"),
    ("tests/backends/test_arrays.py", "faults"),
    ("tests/backends/test_cluster.py", "faults"),
    ("tests/backends/test_limits.py", "faults"),
    ("tests/backends/test_survey.py", "faults"),
    ("tests/backends/test_vocabulary.py", "faults"),
    ("tests/backends/*", "small"),
    ("tests/stories/test_local.py", "local"),
    ("tests/stories/test_systemd.py", "local"),
    ("tests/stories/test_postgres.py", "local"),
    ("tests/stories/test_pbs.py", "login"),
    ("tests/stories/test_second_factor.py", "login"),
    ("tests/stories/test_*browser.py", "browser"),
    ("tests/stories/test_reach.py::test_on_slurm*", "slurm"),
    ("tests/stories/test_reach.py", "sources"),
    ("tests/stories/test_sources.py", "sources"),
    ("tests/stories/test_upgrade.py", "sources"),
    ("tests/stories/test_long_logs.py", "sources"),
    ("tests/stories/*", "slurm"),
    ("tests/cluster/*", "slurm"),
    ("tests/cli/test_doctor.py::test_a_machine_without*", "login"),
    ("tests/cli/test_doctor.py", "slurm"),
    ("tests/transports/*", "login"),
    ("tests/schedulers/test_*_commands.py", "login"),
    ("tests/sources/*", "login"),
    ("tests/web/test_*browser.py", "browser"),
    ("tests/web/test_diagrams.py", "browser"),
    ("tests/web/test_takeaway.py", "browser"),
)
APART = "tests/simulation/test_histories.py::test_a_hundred_thousand_histories*"
# More processes than processors: the first three have a cluster each and mostly wait for it.
FIRST = (
    *("soak", "faults", "slurm", "local", "browser", "small", "login", "sources"),
    *("tests/test_docs.py", "tests/cli/test_client_commands.py", "tests/test_examples.py"),
    *("tests/simulation/test_histories.py", "tests/web/test_views.py", "tests/test_package.py"),
)


class ByGroup(LoadScopeScheduling):  # type: ignore[misc]  # xdist's own way to say so
    """Sends each group whole to one process."""

    def _split_scope(self, nodeid: str) -> str:
        return group(nodeid)


def pytest_collection_finish() -> None:
    """Let no collection of garbage walk over thousands of tests again and again."""
    gc.collect()
    gc.freeze()


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> Scheduling:
    """Schedule by our groups. The marks for it are lost on the way with pytest 9.2."""
    return ByGroup(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put the longest groups first, in a process that is one of several."""
    if hasattr(config, "workerinput"):
        rank = {name: place for place, name in enumerate(FIRST)}
        items.sort(key=lambda item: rank.get(group(item.nodeid), len(FIRST)))


def group(nodeid: str) -> str:
    """The name of a test's group, else its file; parts that share nothing are groups of their own.

    >>> group("tests/core/test_units.py::test_a"), group(f"{APART[:-1]}[3]") == f"{APART[:-1]}[3]"
    ('tests/core/test_units.py', True)
    >>> [group(f"tests/backends/test_pbs.py::test_a[{kind}]") for kind in ("pbs", "slurm")]
    ['small', 'faults']
    """
    if fnmatchcase(nodeid, APART):
        return nodeid
    file = nodeid.partition("::")[0]
    fits = (name for glob, name in GROUPS if fnmatchcase(file, glob) or fnmatchcase(nodeid, glob))
    return next(fits, file)
