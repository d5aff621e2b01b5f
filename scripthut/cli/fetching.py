"""A large file on its way from the cluster to the server, as a terminal sees it."""

import time
from typing import Any

from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from scripthut.cli.client import Client, word
from scripthut.cli.show import console
from scripthut.core.errors import Refused

PAUSE = 0.5  # seconds between two questions


def bring(client: Client, run: str, task: str, file: dict[str, Any]) -> dict[str, Any]:
    """Have the server fetch a listed file whole; the file as it is listed then.

    A bar shows how far it is. Refused when the server gives up; Ctrl-C leaves it to go on.
    """
    place = f"runs/{word(run)}/tasks/{word(task)}/outputs/{file['id']}/fetch"
    told = client.post(place, {})
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(binary_units=True),
        TransferSpeedColumn(),
        TextColumn("{task.fields[why]}"),
    )
    with Progress(*columns, console=console(is_error=True), transient=True) as bar:
        line = bar.add_task(file["path"], total=file["size"], why="")
        while not told["url"]:
            state = told["fetch"]
            if state is None:
                raise Refused(f"{file['path']} is not fetched any more: somebody stopped it")
            if state["state"] == "stopped":
                raise Refused(f"{file['path']} cannot be fetched: {state['problem']}")
            size, why = state["size"] or file["size"], state["problem"] or ""
            bar.update(line, completed=state["done"], total=size, why=why)
            time.sleep(PAUSE)
            told = client.get(place)
    return {**file, "url": told["url"], "sha256": told["sha256"], "size": told["size"]}
