"""Which configuration holds: the file that was named, or the nearest one, or none."""

import logging
from collections.abc import Iterator
from pathlib import Path

from scripthut.config import Config, load, parse

NAMES = ("scripthut.yaml", "scripthut.yml")

log = logging.getLogger(__name__)


def settle(named: Path | None) -> Config:
    """Read the configuration; without a file anywhere, it is one `local` backend.

    Raises Invalid with every problem named by its place.
    """
    path = find(named, Path.cwd(), Path.home())
    config = parse({}) if path is None else load(path)
    log.info("configuration read file=%s", path or "none: this machine is the only backend")
    if config.later:
        log.warning("not used by this version keys=%s", ",".join(config.later))
    return config


def find(named: Path | None, here: Path, home: Path) -> Path | None:
    """The file to read: `named`, else the first one from `here` upwards, else the user's own."""
    if named is not None:
        return named
    return next((path for path in _places(here, home) if path.is_file()), None)


def _places(here: Path, home: Path) -> Iterator[Path]:
    for directory in (here, *here.parents, home / ".config" / "scripthut"):
        yield from (directory / name for name in NAMES)
