"""The disks that jobs write to, as the real `df` tells them, and quotas where there are some."""

from pathlib import Path, PurePosixPath

from scripthut.backends import facts
from scripthut.core.jobs import Answer
from scripthut.transports.local import Local

NO_QUOTA = Answer(127, "", "quota: not found")
QUOTAS = """Disk quotas for user ada (uid 1000):
     Filesystem  blocks   quota   limit   grace   files   quota   limit   grace
nas.example.org:/export/home 900000* 800000 1000000 1767139200 12000 0 0 0
/dev/mapper/scratch 5000 0 2000000 0 1 0 0 0
/dev/sda1 5000 0 0 0 1 0 0 0
"""


def test_what_is_not_there_yet_is_on_the_disk_of_what_is(tmp_path: Path) -> None:
    home, clones = PurePosixPath(tmp_path), "/dev/shm/not/there/yet"
    asked = facts.commands(home, clones)
    told = facts.disks({"df": Local().run(asked["df"]), "quota": NO_QUOTA})
    paths = [disk.path for disk in told]
    assert len(paths) == len(set(paths)), "each disk is told once"
    assert "/dev/shm" in paths
    assert all(disk.most > 0 for disk in told)
    below_home = facts.commands(home, "~/a b/clones")["df"]
    assert below_home[-1] == f"{tmp_path}/a b/clones"
    assert len(facts.disks({"df": Local().run(below_home), "quota": NO_QUOTA})) == 1


def test_a_quota_is_told_where_there_is_a_limit() -> None:
    told = facts.disks({"df": Answer(0, "", ""), "quota": Answer(0, QUOTAS, "")})
    assert [(disk.path, disk.used, disk.most, disk.free) for disk in told] == [
        ("nas.example.org:/export/home", 900_000 * 1024, 800_000 * 1024, 0),
        ("/dev/mapper/scratch", 5000 * 1024, 2_000_000 * 1024, 1_995_000 * 1024),
    ]
    assert [disk.is_tight for disk in told] == [True, False]
    assert all(disk.is_quota for disk in told)


def test_without_the_program_there_is_no_quota() -> None:
    assert facts.disks({"df": Answer(0, "", ""), "quota": NO_QUOTA}) == ()
