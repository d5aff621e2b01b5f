"""How a run's page is looked at: view, search and order. The address holds it all."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property
from urllib.parse import urlencode

from flask import Flask, request
from werkzeug.datastructures import MultiDict

from scripthut.core.states import State
from scripthut.store.search import ORDERS, Wish
from scripthut.web.numbers import LONGEST

PER = ("task", "group")
FAR = 10**9  # seconds
MOST_UNFOLDED = 20  # nodes of a graph


class View(StrEnum):
    """How the tasks of a run are shown."""

    TABLE = "table"
    GRAPH = "graph"
    GANTT = "gantt"


@dataclass(frozen=True)
class Look:
    """What a person asked for in the address; what it does not say is as usual."""

    view: View = View.TABLE
    find: str = ""
    states: tuple[State, ...] = ()
    unfold: tuple[int, ...] = ()  # nodes of the graph that are drawn task by task
    window: tuple[int, int] | None = None  # of the chart: seconds since the run was made; None: all
    at: int = 0  # the first row of the chart that is shown
    per: str = ""  # a row of the chart is a "task" or a "group"; empty: as it fits
    by: str = ""  # a key of ORDERS, with "-" before it when the last come first

    @property
    def is_narrow(self) -> bool:
        """Whether the table is a list of what was found, instead of groups."""
        return bool(self.find or self.states or self.by)

    @property
    def wish(self) -> Wish:
        return Wish(self.find, self.states, self.by.lstrip("-"), self.by.startswith("-"))

    @cached_property
    def args(self) -> dict[str, str | list[str]]:
        """What an address must say to be looked at like this; for `url_for`."""
        said: Mapping[str, str | list[str]] = {
            "view": "" if self.view is View.TABLE else self.view.value,
            "find": self.find,
            "state": [state.value for state in self.states],
            "by": self.by,
            "unfold": [str(first) for first in self.unfold] if self.view is View.GRAPH else [],
        }
        if self.view is View.GANTT:
            window = [str(second) for second in self.window or ()]
            said = {**said, "window": window, "at": str(self.at or ""), "per": self.per}
        return {name: value for name, value in said.items() if value}

    def address(self, path: str, tab: str = "") -> str:
        """An address of the run's page, or of a task on it, that is looked at like this."""
        said = urlencode({**({"tab": tab} if tab else {}), **self.args}, doseq=True)
        return f"{path}?{said}" if said else path

    def showing(self, view: str) -> dict[str, str | list[str]]:
        """The same in another view."""
        return replace(self, view=View(view)).args

    def toggling(self, state: State) -> dict[str, str | list[str]]:
        """The same with a state added to those that are asked for, or taken from them."""
        others = tuple(known for known in self.states if known is not state)
        return replace(self, states=others if state in self.states else (*self.states, state)).args

    def unfolding(self, first: int) -> dict[str, str | list[str]]:
        """The same with a node of the graph unfolded, or folded again."""
        others = tuple(known for known in self.unfold if known != first)
        unfold = others if first in self.unfold else (*self.unfold, first)
        return replace(self, unfold=unfold).args

    def sorting(self, by: str) -> dict[str, str | list[str]]:
        """The same sorted by this: upwards, then downwards, then as the document has it."""
        return replace(self, by={by: f"-{by}", f"-{by}": ""}.get(self.by, by)).args

    def direction(self, by: str) -> str:
        """What aria-sort says of a column."""
        return {by: "ascending", f"-{by}": "descending"}.get(self.by, "none")


def init_app(app: Flask) -> None:
    """Let templates ask how the page is looked at."""
    app.context_processor(lambda: {"look": look()})


def look() -> Look:
    """What this request's address asks for; what it cannot mean is left out."""
    return read(request.args)


def read(args: MultiDict[str, str]) -> Look:
    """A look from an address's arguments."""
    view, by = args.get("view", ""), args.get("by", "")
    asked = dict.fromkeys(args.getlist("state"))
    return Look(
        view=View(view) if view in set(View) else View.TABLE,
        find=args.get("find", "").strip()[:LONGEST],
        states=tuple(State(state) for state in asked if state in set(State)),
        unfold=tuple(sorted(set(args.getlist("unfold", int)[:MOST_UNFOLDED]))),
        window=_window(args),
        at=max(0, args.get("at", 0, int)),
        per=args["per"] if args.get("per") in PER else "",
        by=by if by.lstrip("-") in ORDERS and by.count("-") < 2 else "",
    )


def _window(args: MultiDict[str, str]) -> tuple[int, int] | None:
    """Two seconds, the first before the second; None for anything else."""
    asked = args.getlist("window", int)
    if len(asked) != 2 or not 0 <= asked[0] < asked[1] <= FAR:
        return None
    return asked[0], asked[1]
