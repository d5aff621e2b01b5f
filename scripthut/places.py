"""Where templates, static files and migrations are: beside the package, or inside a wheel's."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def _place(name: str) -> Path:
    installed = _PACKAGE / name
    return installed if installed.is_dir() else _PACKAGE.parent / name


TEMPLATES = _place("templates")
STATIC = _place("static")
MIGRATIONS = _place("migrations")
