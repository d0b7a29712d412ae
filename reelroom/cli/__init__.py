"""The `reelroom` command. Holds what its subcommands share; each lies in a module beside this one."""

from __future__ import annotations

import typer

from reelroom.cli import apps, demo, serve, show, token, verify

app = typer.Typer(
    name="reelroom",
    help="Cloud recording for real-time audio and video that you run yourself.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,  # they hold secrets
)
app.command("serve")(serve.command)
app.command("demo")(demo.command)
app.command("token")(token.command)
app.command("verify")(verify.command)
app.command("config")(show.command)
app.add_typer(apps.app, name="app")


def main() -> None:
    """The console script."""
    app()
