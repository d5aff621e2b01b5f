"""`scripthut backup` and `restore`: what the server knows and keeps, in one file and back."""

from dataclasses import asdict
from pathlib import Path

import click

from scripthut import __version__
from scripthut.cli.configuration import where
from scripthut.cli.options import config_option, json_option
from scripthut.cli.show import print_json, some, when
from scripthut.clock import utcnow
from scripthut.config import environment, resolve
from scripthut.core import units
from scripthut.store.keeping.backup import Manifest, back_up
from scripthut.store.keeping.restore import restore


@click.command("backup")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@config_option
@json_option
def backup_command(file: Path, config_file: Path | None, as_json: bool) -> None:
    """Write the database and all kept files into FILE, also while the server runs.

    FILE is a tar, compressed when its name ends with .gz or .tgz; only you can read it. The
    configuration and what lies on the clusters are not in it.
    """
    config = resolve(where(config_file), environment()).config
    target = file.absolute()
    made = back_up(config.database_url, config.data_dir / "kept", target, __version__, utcnow())
    _say(made, f"{file} holds", as_json)


@click.command("restore")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--overwrite", is_flag=True, help="Put it in the place of the runs that are there.")
@config_option
@json_option
def restore_command(file: Path, overwrite: bool, config_file: Path | None, as_json: bool) -> None:
    """Restore FILE, a backup, where the configuration says, while no server runs.

    All of it is checked first. A SQLite database that was there is set aside, and named.
    """
    config = resolve(where(config_file), environment()).config
    done = restore(file, config.database_url, config.data_dir / "kept", overwrite, utcnow())
    _say(done.manifest, "Restored", as_json)
    if done.set_aside is not None and not as_json:
        click.echo(f"The former database is {done.set_aside}.")


def _say(manifest: Manifest, verb: str, as_json: bool) -> None:
    if as_json:
        print_json({**asdict(manifest), "files": len(manifest.files), "bytes": manifest.size})
        return
    click.echo(
        f"{verb} {some(len(manifest.files), 'file')} of {units.size(manifest.size)}, as of "
        f"{when(manifest.made_at)}, by scripthut {manifest.version}."
    )
