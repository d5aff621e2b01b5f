"""Options that many commands have."""

from pathlib import Path

import click

config_option = click.option(
    "--config",
    "-c",
    "config_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The configuration; else $SCRIPTHUT_CONFIG, else scripthut.yaml here or above "
    "and ~/.config/scripthut/scripthut.yaml.",
)
host_option = click.option("--host", help="The address to listen on; loopback only.")
port_option = click.option(
    "--port", "-p", type=click.IntRange(0, 65535), help="The port; 0 takes a free one."
)
verbose_option = click.option("--verbose", is_flag=True, help="Also say what is done in between.")
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
