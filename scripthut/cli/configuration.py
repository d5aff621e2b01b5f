"""Which configuration holds: the file that was named, or those that are found, or none."""

import logging
import os
from pathlib import Path

from scripthut.config import Live, Resolved, Where, environment, resolve

NAMED = "SCRIPTHUT_CONFIG"

log = logging.getLogger(__name__)


def where(named: Path | None) -> Where:
    """Where to look: the file that the command line or $SCRIPTHUT_CONFIG names, or around here."""
    given = os.environ.get(NAMED)
    return Where(named or (Path(given) if given else None), Path.cwd(), Path.home())


def settle(named: Path | None) -> Live:
    """Read the configuration; without a file anywhere, it is one `local` backend.

    What is answered follows the files. Raises Invalid with every problem named by its place.
    """
    place, variables = where(named), dict(environment())
    found = resolve(place, variables)
    say(found)
    return Live.begin(found, place, variables)


def say(found: Resolved) -> None:
    """Log what was read, and what of it is not used."""
    files = ",".join(map(str, found.files)) or "none: this machine is the only backend"
    log.info("configuration read file=%s generation=%s", files, found.digest)
    for note in found.config.notes:
        log.warning("configuration %s", note)
