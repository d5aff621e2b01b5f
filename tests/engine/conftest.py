"""An engine's cycle over a simulated cluster."""

from pathlib import Path

import pytest

from scripthut.core.jobs import OutputLimits
from scripthut.engine.cycle import Cycle
from scripthut.engine.lead import Lead
from scripthut.store.db import Database
from scripthut.store.files.kept import Kept
from tests.engine.cluster import FakeCluster
from tests.engine.world import World


@pytest.fixture
def world(database: Database, tmp_path: Path) -> World:
    """One run's world: cap 100."""
    cluster = FakeCluster()
    lead = Lead(database, "me")
    assert lead.renew()
    hands = lead.hands(cluster, Kept(tmp_path / "kept"), OutputLimits())
    return World(
        database, cluster, Cycle(hands, "slurm", 100, clock=lambda: cluster.now.timestamp()), lead
    )
