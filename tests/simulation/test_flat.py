"""A day of polling, with the time as a value: neither memory nor open files grow."""

import gc
from pathlib import Path

import psutil
import pytest

from scripthut.core.states import State
from scripthut.store.db import Database
from scripthut.store.files.kept import Kept
from scripthut.store.models import Base
from tests.databases import address
from tests.simulation.cluster import HOUR, SimCluster, SimJob
from tests.simulation.history import Histories, Plan, quiet

PAUSE = 60.0  # seconds between two looks
WARM = 0.1  # of the day, after which all caches are full


class Endless(SimCluster):
    """Its jobs run for longer than the day."""

    def _finish(self, job: SimJob) -> None:
        self.after(HOUR, lambda: self._finish(job))


def measured() -> tuple[int, int, int]:
    gc.collect()
    process = psutil.Process()
    return process.num_fds(), process.num_threads(), len(gc.get_objects())


@pytest.mark.slow
def test_a_day_of_polling_takes_no_more_memory_or_files_than_an_hour(tmp_path: Path) -> None:
    database = Database(address(tmp_path))
    Base.metadata.create_all(database.engine)
    histories = Histories(Plan(1, shapes=(3, 1)), database, Kept(tmp_path / "kept"))
    histories.cluster.__class__ = Endless
    looks = int(24 * HOUR / PAUSE)
    before = (0, 0, 0)
    with quiet():
        for look in range(looks):
            assert histories.turn(PAUSE)
            if look == int(looks * WARM):
                before = measured()
    files, threads, objects = measured()
    assert {task.state for task in histories.tasks()} == {State.RUNNING, State.PENDING}
    assert (files, threads) == before[:2]
    assert objects < before[2] * 1.01
    database.dispose()
