"""What a request of htmx 4 says about itself."""

from flask import request
from flask_htmx import HTMX


class Htmx(HTMX):  # type: ignore[misc]  # flask-htmx has no types
    """flask-htmx, brought to htmx 4: HX-Target is `tag#id`, and HX-Trigger has become HX-Source."""

    @property
    def target(self) -> str | None:
        """The id of the element that the answer goes to."""
        return _id(request.headers.get("HX-Target"))

    @property
    def trigger(self) -> str | None:
        """The id of the element that asks."""
        return _id(request.headers.get("HX-Source"))

    def targets(self, element_id: str) -> bool:
        """Whether htmx asks, and for the element of this id."""
        return bool(self) and self.target == element_id


def _id(said: str | None) -> str | None:
    return said.partition("#")[2] or None if said else None


htmx = Htmx()
