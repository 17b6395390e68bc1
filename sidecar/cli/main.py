"""The command ``sse-sidecar``; each subcommand is imported on its call."""

from importlib import import_module

import click

from sidecar import __version__

COMMANDS = {
    "check-config": "sidecar.cli.serve:check_config",
    "client": "sidecar.cli.client:client",
    "demo": "sidecar.cli.demo:demo",
    "evidence": "sidecar.cli.evidence:evidence",
    "serve": "sidecar.cli.serve:serve",
    "streams": "sidecar.cli.streams:streams",
    "tail": "sidecar.cli.tail:tail",
    "verify": "sidecar.cli.verify.scenarios:verify",
}


class LazyGroup(click.Group):
    """A group that imports a command only to run it, or to show its help."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands, sorted."""
        del ctx
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, or None if there is none of this name."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(import_module(module), name)
        return command


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="sse-sidecar")
def main() -> None:
    """Make Server-Sent Events streams durable, resumable and measured."""
