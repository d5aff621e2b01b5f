"""Metrics are read when they are collected, once, and follow what a task writes."""

import json
import time

import pytest

from scripthut.core.jobs import Area
from scripthut.engine.children.workshop import WALL, WORKSHOP
from scripthut.engine.outputs import measure as measuring
from scripthut.store.metrics import curves, of_run
from scripthut.store.models import MetricsRow
from tests.engine import test_collect
from tests.engine.test_collect import RUN, Bench
from tests.engine.test_rendering import CASES, LENGTH

bench = test_collect.bench  # its fixture


def found(bench: Bench) -> dict[str, object]:
    with bench.database.reading() as session:
        (task,) = of_run(session, RUN)
        return dict(task.values)


def note(bench: Bench) -> str | None:
    with bench.database.reading() as session:
        return of_run(session, RUN)[0].note


def test_a_running_tasks_metrics_follow_its_file(bench: Bench) -> None:
    bench.disk.write("metrics.jsonl", b'{"loss": 1}\n')
    bench.collect()
    assert found(bench) == {"loss": 1}
    before = bench.version

    bench.disk.write("metrics.jsonl", b'{"loss": 1}\n{"loss": 0.5}\n')
    bench.collect()

    assert found(bench) == {"loss": 0.5}
    assert bench.version > before, "an open page is told"
    with bench.database.reading() as session:
        assert curves(session, [bench.task_id], "loss")[bench.task_id].y == (1, 0.5)


def test_summaries_and_files_of_any_folder_count(bench: Bench) -> None:
    bench.disk.write("task-summary.md", b"| a | b |\n|-|-|\n| 1 | 2 |\n")
    bench.disk.write("fold/metrics.json", b'{"c": 3}')
    bench.disk.write("task.md", b"| d | e |\n|-|-|\n| 4 | 5 |\n", Area.FRAGMENT)
    bench.disk.write("other.md", b"| f | g |\n|-|-|\n| 6 | 7 |\n")

    bench.collect()

    assert found(bench) == {"fold.c": 3, "a": 1, "b": 2, "d": 4, "e": 5}


def test_what_did_not_change_is_not_read_again(
    bench: Bench,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench.disk.write("metrics.json", b'{"a": 1}')
    bench.collect()
    monkeypatch.setattr(measuring, "WORKSHOP", None)  # to work there would fail now

    bench.disk.write("other.txt", b"x")
    bench.collect()

    assert found(bench) == {"a": 1}


def test_metrics_of_a_file_that_is_gone_go_with_it(bench: Bench) -> None:
    bench.disk.write("metrics.json", b'{"a": 1}')
    bench.disk.write("other.txt")
    bench.collect()
    del bench.disk.files[Area.OUTPUT, b"metrics.json"]
    bench.collect()
    assert found(bench) == {}


def test_a_purged_directory_takes_no_metrics_with_it(bench: Bench) -> None:
    bench.disk.write("metrics.json", b'{"a": 1}')
    bench.collect()
    bench.end()
    bench.collect(listing=bench.disk.listing(problem="the directory has gone"))
    bench.disk.files.clear()
    bench.collect()
    assert found(bench) == {"a": 1}


def test_a_file_that_is_not_here_yet_changes_nothing(bench: Bench) -> None:
    bench.disk.write("metrics.json", b'{"a": 1}')
    bench.collect()
    bench.disk.write("metrics.json", b'{"a": 2}')
    bench.disk.breaks_after = 0
    bench.collect()
    assert found(bench) == {"a": 1}
    bench.disk.breaks_after = None
    bench.collect()
    assert found(bench) == {"a": 2}


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_hostile_documents_are_read_in_bounded_time(case: dict[str, str]) -> None:
    text = eval(case["gen"], {"n": LENGTH})  # the generators are our own data

    began = time.monotonic()
    WORKSHOP.do("figures", "x.md", text.encode("utf-8", "surrogatepass"))

    assert time.monotonic() - began < WALL + 2


def test_the_longest_course_is_read_within_the_limits(bench: Bench) -> None:
    row = b'{"step": %d, "loss": 0.123456, "accuracy": 0.98765, "rate": 0.001}\n'
    bench.disk.write("metrics.jsonl", b"".join(row % n for n in range(100_000)))
    bench.collect()
    assert found(bench)["step"] == 99_999


def test_a_hostile_file_costs_a_bounded_row(bench: Bench) -> None:
    bench.disk.write("metrics.json", json.dumps({"x" * n: "y" * 900 for n in range(900)}).encode())
    bench.collect()
    with bench.database.reading() as session:
        row = session.query(MetricsRow).one()
        assert len(json.dumps(row.found)) < 100_000
