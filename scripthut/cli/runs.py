"""`scripthut run ...`: what there is to do with runs."""

import sys
import time

import click
from rich.table import Table
from rich.text import Text

from scripthut.cli import complete, later
from scripthut.cli.client import Client, word
from scripthut.cli.following import ENDS, MANY, table, telling, watch
from scripthut.cli.options import json_option
from scripthut.cli.reach import server_option
from scripthut.cli.show import console, print_json, some, state, when
from scripthut.cli.starting import chosen, interval_option, param_option, tell, watch_option
from scripthut.core.errors import Refused

run_argument = click.argument("run", shell_complete=complete.runs)
task_argument = click.argument("task", shell_complete=complete.tasks)


@click.group("run")
def run_group() -> None:
    """List, look at, watch, repeat, cancel and delete runs, and read their logs."""


@run_group.command("list")
@click.option("--limit", type=click.IntRange(1, 500), default=20, show_default=True)
@click.option("--workflow", metavar="NAME", help="Those of that name alone.")
@json_option
@server_option
def list_command(limit: int, workflow: str | None, as_json: bool, base: str) -> None:
    """List the newest runs."""
    chosen = f"&workflow={word(workflow)}" if workflow else ""
    found = Client(base).get(f"runs?limit={limit}{chosen}")
    if as_json:
        print_json(found)
        return
    made = Table("Run", "Name", "State", "Tasks", "Backend", "Created", box=None, pad_edge=False)
    for run in found["runs"]:
        done = sum(run["counts"].get(end, 0) for end in (*ENDS, "dep_failed"))
        total = sum(run["counts"].values())
        words = (run["id"], Text(run["name"]), state(run["status"]), f"{done}/{total}")
        made.add_row(*words, run["backend"], when(run["created_at"]))
    console().print(made if found["runs"] else "There are no runs yet.")


@run_group.command("view")
@run_argument
@click.option("--all", "is_whole", is_flag=True, help=f"Every task, also above {MANY}.")
@json_option
@server_option
def view_command(run: str, is_whole: bool, as_json: bool, base: str) -> None:
    """Show a RUN and its tasks; of a large one those that failed, and how many others there are."""
    client = Client(base)
    found = client.get(f"runs/{word(run)}")
    if as_json:
        print_json(found)
        return
    console().print(table(found, found["tasks"] if is_whole else telling(found["tasks"]), "--all"))
    console().print(client.page(run), style="dim", highlight=False)


@run_group.command("watch")
@run_argument
@click.option("--interval", type=click.FloatRange(0.2), default=2.0, show_default=True)
@click.option("--exit-status", is_flag=True, help="Exit with 1 unless the run completed.")
@json_option
@server_option
def watch_command(run: str, interval: float, exit_status: bool, as_json: bool, base: str) -> None:
    """Follow a RUN until it has ended; say what failed."""
    watch(Client(base), run, interval, as_json, exit_status)


@run_group.command("cancel")
@run_argument
@click.argument("task", required=False, shell_complete=complete.tasks)
@json_option
@server_option
def cancel_command(run: str, task: str | None, as_json: bool, base: str) -> None:
    """Cancel all of a RUN that has not ended, or one TASK of it."""
    place = f"runs/{word(run)}" + (f"/tasks/{word(task)}" if task else "")
    said = Client(base).post(f"{place}/cancel", {})
    if as_json:
        print_json(said)
    else:
        what = f"{run} {task}" if task else run
        console().print(f"{what}: cancelling" if said["cancelling"] else f"{what}: has ended")


@run_group.command("logs")
@run_argument
@task_argument
@click.option("--error", is_flag=True, help="The error log instead of the output.")
@click.option("--tail", type=click.IntRange(1), metavar="N", help="The last N lines alone.")
@click.option("--follow", "-f", is_flag=True, help="Go on until the task has ended.")
@click.option("--attempt", type=click.IntRange(1), metavar="N", help="A former attempt.")
@click.option("--interval", type=click.FloatRange(0.2), default=2.0, show_default=True)
@json_option
@server_option
def logs_command(  # noqa: PLR0913 - one for each option
    run: str,
    task: str,
    error: bool,
    tail: int | None,
    follow: bool,
    attempt: int | None,
    interval: float,
    as_json: bool,
    base: str,
) -> None:
    """Print the log of a TASK of a RUN."""
    if follow and as_json:
        raise Refused("--follow and --json do not go together: leave one of them out")
    client = Client(base)
    if attempt is not None:
        said = client.get(f"runs/{word(run)}/tasks/{word(task)}/attempts/{attempt}/logs")
        lines = said["error" if error else "output"].splitlines(keepends=True)
        print_json(said) if as_json else click.echo("".join(lines[-(tail or 0) :]), nl=False)
        return
    place = f"runs/{word(run)}/tasks/{word(task)}/logs?type={'error' if error else 'output'}"
    said = client.get(place + (f"&tail={tail}" if tail else ""))
    if as_json:
        print_json(said)
        return
    click.echo(said["content"], nl=False)
    while follow and said["is_live"]:
        time.sleep(interval)
        said = client.get(f"{place}&from={said['after']}")
        click.echo(said["content"], nl=False)


@run_group.command("retry")
@run_argument
@click.argument("task", required=False, shell_complete=complete.tasks)
@json_option
@server_option
def retry_command(run: str, task: str | None, as_json: bool, base: str) -> None:
    """Try all tasks of a RUN again that ended badly, or one TASK, as new attempts in that run."""
    place = f"runs/{word(run)}" + (f"/tasks/{word(task)}" if task else "")
    said = Client(base).post(f"{place}/retry", {})
    if as_json:
        print_json(said)
    else:
        count = said["retried"]
        words = f"{some(count, 'task')} {'waits' if count == 1 else 'wait'} again"
        console().print(f"{run}: {words}", highlight=False)


@run_group.command("vouch")
@run_argument
@task_argument
@click.option("--completed/--failed", required=True, help="What became of it.")
@click.option("--note", default="", metavar="WHY", help="How you know.")
@json_option
@server_option
def vouch_command(  # noqa: PLR0913 - one for each option
    run: str, task: str, completed: bool, note: str, as_json: bool, base: str
) -> None:
    """Say what became of a lost TASK of a RUN: nothing is known of its job."""
    body: dict[str, object] = {"completed": completed, "note": note}
    said = Client(base).post(f"runs/{word(run)}/tasks/{word(task)}/vouch", body)
    if as_json:
        print_json(said)
    else:
        console().print(f"{task}: {said['status']}", highlight=False)


@run_group.command("rerun")
@run_argument
@click.option("--failed", is_flag=True, help="Only what did not complete; the rest is taken over.")
@param_option
@watch_option
@interval_option
@json_option
@server_option
def rerun_command(  # noqa: PLR0913 - one for each option
    run: str,
    failed: bool,
    params: tuple[str, ...],
    watch: bool,
    interval: float,
    as_json: bool,
    base: str,
) -> None:
    """Make a new run of an ended RUN, perhaps with other parameters; print its id."""
    client = Client(base)
    body: dict[str, object] = {"mode": "failed" if failed else "all", "params": chosen(params)}
    tell(client, client.start(f"runs/{word(run)}/rerun", body), watch, interval, as_json)


@run_group.command("env")
@run_argument
@task_argument
@json_option
@server_option
def env_command(run: str, task: str, as_json: bool, base: str) -> None:
    """Show the environment of a TASK of a RUN, and where each variable comes from."""
    found = Client(base).get(f"runs/{word(run)}/tasks/{word(task)}/env")
    if as_json:
        print_json(found)
        return
    made = Table("Variable", "Value", "From", box=None, pad_edge=False)
    for name, variable in found["vars"].items():
        story = ", ".join(f"{op['source']} ({op['op']})" for op in variable["ops"])
        made.add_row(Text(name), Text(variable["value"]), Text(story))
    console().print(made)
    if found["extra_init"]:
        click.echo(found["extra_init"])


@run_group.command("delete")
@click.argument("runs", nargs=-1, required=True, shell_complete=complete.runs)
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@server_option
def delete_command(runs: tuple[str, ...], yes: bool, as_json: bool, base: str) -> None:
    """Forget RUNS that have ended. Their files on the backend stay."""
    if not yes:
        if not (sys.stdin.isatty() and sys.stderr.isatty()):
            raise Refused("nobody can be asked here: say --yes")
        click.confirm(f"Delete {', '.join(runs)}?", abort=True, err=True)
    client = Client(base)
    said = [client.delete(f"runs/{word(run)}") for run in runs]
    if as_json:
        print_json({"deleted": [one["run_id"] for one in said]})
    else:
        click.echo("\n".join(f"{one['run_id']}: deleted" for one in said))


run_group.add_command(later.MANIFEST)
