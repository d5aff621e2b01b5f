"""Commands that older versions had and this one does not have yet: each says so."""

import click

from scripthut.core.errors import Refused

ANY = {"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []}


def _command(name: str, why: str) -> click.Command:
    @click.command(name, context_settings=ANY, hidden=True, add_help_option=False)
    @click.argument("_words", nargs=-1)
    @click.pass_context
    def command(context: click.Context, /, **_given: object) -> None:
        raise Refused(f"{context.command_path} is not there yet: {why}")

    return command


STACK = _command("stack", "`stacks` of the configuration are kept, and nothing builds them")
AGENT = _command("agent", "`agent` of the configuration is kept, and nothing starts one")
SETUP_AWS_EC2 = _command("setup-aws-ec2", "backends of type ec2 are kept, and nothing runs there")
PROBE = _command("probe", "there is no result cache; `task run --dry-run` shows a task")
MANIFEST = _command("manifest", "`scripthut run view RUN --json` says what is known")
