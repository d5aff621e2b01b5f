"""The only reader of the clock. Called by the loop, the web and the command line alone."""

from datetime import UTC, datetime


def utcnow() -> datetime:
    """Now, aware, in UTC."""
    return datetime.now(UTC)
