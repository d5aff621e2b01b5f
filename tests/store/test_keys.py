"""The site's key is one, and nobody else's."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from scripthut.store.keys import site_key


def test_the_first_key_stays(tmp_path: Path) -> None:
    assert site_key(tmp_path / "new", b"a" * 32) == b"a" * 32
    assert site_key(tmp_path / "new", b"b" * 32) == b"a" * 32


def test_nobody_else_may_read_it(tmp_path: Path) -> None:
    site_key(tmp_path, b"a" * 32)

    assert [p.name for p in tmp_path.iterdir()] == ["site.key"]
    assert (tmp_path / "site.key").stat().st_mode & 0o777 == 0o600


def test_all_who_begin_at_once_get_the_same_one(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        fresh = [bytes([n]) * 32 for n in range(32)]
        keys = set(pool.map(lambda key: site_key(tmp_path, key), fresh))

    assert len(keys) == 1
