"""How events are written: one line each, on standard error, in UTC."""

import logging
import time

QUIET = ("alembic", "paramiko", "werkzeug", "MARKDOWN")  # their INFO is our DEBUG


def set_up(verbose: bool = False) -> None:
    """Write events to standard error; `verbose` adds what is done in between."""
    formatter = logging.Formatter(
        "%(asctime)sZ %(levelname)s %(message)s", datefmt="%Y-%m-%dT%H:%M:%S"
    )
    formatter.converter = time.gmtime
    handler = logging.StreamHandler()
    handler.setFormatter(formatter)
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.getLogger("scripthut").setLevel(logging.DEBUG if verbose else logging.INFO)
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.INFO if verbose else logging.WARNING)
