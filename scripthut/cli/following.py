"""Following a run to its end: what changed since the last answer is all that is transferred."""

import sys
import time
from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from scripthut.cli.client import Client, word
from scripthut.cli.show import console, print_json, state
from scripthut.core.units import size

ENDS = frozenset({"completed", "failed", "cancelled"})
BAD = frozenset({"failed", "cancelled", "dep_failed", "lost"})
PATIENCE = 60.0  # seconds that a watch waits, after the end, for what the tasks wrote last
MANY = 250  # tasks that a terminal can show
SHOWN = 30  # tasks that a watched run shows: those that move first
ORDER = (
    "running",
    "generating",
    "settling",
    "lost",
    "retrying",
    "failed",
    "dep_failed",
    "queued",
    "submitted",
    "submitting",
)


def watch(client: Client, run: str, interval: float, as_json: bool, exit_status: bool) -> None:
    """Follow a run to its end, until what it wrote is there; say what failed; may exit with 1."""
    found = follow(client, run, interval, console(is_error=as_json))
    if as_json:
        print_json(found)
    else:
        _say_failures(client, found)
    say_uncollected(found)
    if exit_status and found["status"] != "completed":
        sys.exit(1)


def follow(client: Client, run: str, interval: float, screen: Console) -> dict[str, Any]:
    """Ask until the run has ended; on a terminal the table stands still and changes."""
    answers = until_collected(client, run, interval)
    found = next(answers)
    if not screen.is_terminal:
        return _by_lines(found, answers, screen)
    with Live(table(found, _moving(found)), console=screen, auto_refresh=False) as live:
        for found in answers:
            live.update(table(found, _moving(found)), refresh=True)
    return found


def until_collected(client: Client, run: str, interval: float) -> Iterator[dict[str, Any]]:
    """The run as it stands, whole, again and again until it has ended and was collected.

    Whoever asks for its outputs next finds them. A backend that cannot be reached now is not
    waited for longer than PATIENCE.
    """
    found = client.get(f"runs/{word(run)}")
    tasks = {task["id"]: task for task in found["tasks"]}
    ended = None
    while True:
        yield found
        if found["status"] in ENDS:
            ended = ended or time.monotonic()
            if not found.get("uncollected") or time.monotonic() > ended + PATIENCE:
                return
        time.sleep(interval)
        since = f"?since={found['version']}" if "version" in found else ""
        found = client.get(f"runs/{word(run)}{since}")
        tasks.update((task["id"], task) for task in found["tasks"])
        found = {**found, "tasks": list(tasks.values())}


def _by_lines(
    found: dict[str, Any], answers: Iterator[dict[str, Any]], screen: Console
) -> dict[str, Any]:
    known: dict[str, str] = {}
    _say_moves(found, known, screen)
    for found in answers:
        _say_moves(found, known, screen)
    return found


def _say_moves(found: dict[str, Any], known: dict[str, str], screen: Console) -> None:
    for task in found["tasks"]:
        if known.get(task["id"], "pending") != task["status"]:
            screen.print(f"{task['id']}: {task['status']}", highlight=False, markup=False)
        known[task["id"]] = task["status"]


def _moving(found: dict[str, Any]) -> list[dict[str, Any]]:
    """The tasks worth a line of a terminal, in the document's order."""
    tasks: list[dict[str, Any]] = found["tasks"]
    if len(tasks) <= SHOWN:
        return tasks
    rank = {name: n for n, name in enumerate(ORDER)}
    chosen = sorted(range(len(tasks)), key=lambda n: rank.get(tasks[n]["status"], len(ORDER)))
    return [tasks[n] for n in sorted(chosen[:SHOWN])]


def telling(tasks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The tasks of a run that a terminal shows: all, or of a large one some that failed."""
    if len(tasks) <= MANY:
        return tasks
    return [task for task in tasks if task["status"] in BAD][:MANY]


def table(found: dict[str, Any], tasks: list[dict[str, Any]], whole: str = "") -> Table:
    """A run and some of its tasks; `whole`: the option that shows all of them."""
    counts = ", ".join(f"{n} {name.replace('_', ' ')}" for name, n in found["counts"].items())
    title = Text.assemble(
        (found["name"], "bold"), f"  {found['id']}  ", state(found["status"]), f"  {counts}"
    )
    measured = any(_used(task) for task in tasks)
    heads = ("Task", "State", "Job", *(("Used",) if measured else ()), "")
    made = Table(*heads, title=title, title_justify="left", box=None)
    for task in tasks:
        said = task["reason"] if task["status"] != "completed" else None
        if task["status"] == "running":
            share = task["progress"]
            share_words = f"{int(share * 100 + 1e-9)} % " if share is not None else ""
            said = share_words + (task["progress_text"] or "")
        words = (Text(task["id"]), state(task["status"]), task["job_id"] or "")
        made.add_row(*words, *((_used(task),) if measured else ()), Text(said or ""))
    if len(tasks) < len(found["tasks"]):
        more = len(found["tasks"]) - len(tasks)
        made.add_row(f"and {more} more: {whole} shows them" if whole else f"and {more} more")
    return made


def say_uncollected(found: dict[str, Any]) -> None:
    """Say, beside what is printed, that something ended tasks wrote is still to come."""
    left = found.get("uncollected") or 0  # a server of before says nothing of it
    if left:
        who = "a task" if left == 1 else f"{left} tasks"
        words = f"What {who} wrote last is not on the server yet: it is being fetched."
        console(is_error=True).print(words, style="dim", highlight=False)


def _used(task: dict[str, Any]) -> str:
    """What a task used of its memory and of its processors' time, where that is known."""
    held, share = task.get("memory_used"), task.get("cpu_efficiency")
    asked = f" of {size(task['memory'])}" if held and task.get("memory") else ""
    said = [f"{size(held)}{asked}"] if held else []
    return ", ".join([*said, *([f"cpu {share:.0%}"] if share is not None else [])])


def _say_failures(client: Client, found: dict[str, Any]) -> None:
    out = console()
    words = Text.assemble(found["name"], f" {found['id']} ", state(found["status"]))
    out.print(words)
    for task in found["tasks"]:
        if task["status"] in BAD:
            out.print(Text(f"  {task['id']}: {task['reason'] or task['status']}"))
    out.print(client.page(found["id"]), style="dim", highlight=False)
