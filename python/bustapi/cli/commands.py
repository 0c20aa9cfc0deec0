"""The commands that look into an application: ``shell`` and ``routes``."""

from __future__ import annotations

import code
import os
import sys
import typing as t
from operator import itemgetter

import click

from ..globals import current_app
from .context import with_appcontext


@click.command("shell", short_help="Run a shell in the app context.")
@with_appcontext
def shell_command() -> None:
    """Run an interactive Python shell in the context of the application.

    Its names are the application, 'g', and what the shell context processors add.
    """
    names: dict[str, t.Any] = {}
    startup = os.environ.get("PYTHONSTARTUP")

    if startup and os.path.isfile(startup):
        with open(startup) as f:
            exec(compile(f.read(), startup, "exec"), names)  # as Python itself does

    names.update(current_app.make_shell_context())
    interactive_hook = getattr(sys, "__interactivehook__", None)

    if interactive_hook is not None:
        try:
            # Optional: not on all platforms, and importing the other replaces the completer.
            import readline
            import rlcompleter  # optional in the same way
        except ImportError:
            pass
        else:
            # The hook turns completion on, for the names of another namespace by default.
            readline.set_completer(rlcompleter.Completer(names).complete)

        interactive_hook()

    code.interact(
        banner=(
            f"Python {sys.version} on {sys.platform}\n"
            f"App: {current_app.import_name}\n"
            f"Instance: {current_app.instance_path}"
        ),
        local=names,
    )


@click.command("routes", short_help="Show the routes for the app.")
@click.option(
    "--sort",
    "-s",
    type=click.Choice(("endpoint", "methods", "domain", "rule", "match")),
    default="endpoint",
    help="What to sort by; 'match' is the order in which Rules are tried.",
)
@click.option("--all-methods", is_flag=True, help="Show HEAD and OPTIONS methods.")
@with_appcontext
def routes_command(sort: str, all_methods: bool) -> None:
    """Show the application's Rules with their endpoints and methods."""
    rules = list(current_app.url_map.iter_rules())

    if not rules:
        click.echo("No routes were registered.")
        return

    hidden: set[str] = set() if all_methods else {"HEAD", "OPTIONS"}
    by_host = current_app.url_map.host_matching
    columns: dict[str, list[str]] = {
        "Endpoint": [rule.endpoint for rule in rules],
        "Methods": [", ".join(sorted((rule.methods or set()) - hidden)) for rule in rules],
    }
    domains = [(rule.host if by_host else rule.subdomain) or "" for rule in rules]

    if any(domains):
        columns["Host" if by_host else "Subdomain"] = domains

    columns["Rule"] = [rule.rule for rule in rules]
    sortable = [name.lower() for name in columns]

    if any(domains):
        sortable[2] = "domain"

    rows = list(zip(*columns.values(), strict=True))

    # 'match' is the order they are in; so is 'domain' when there are none.
    if sort in sortable:
        rows.sort(key=itemgetter(sortable.index(sort)))

    widths = [max(map(len, (name, *cells))) for name, cells in columns.items()]

    for row in (tuple(columns), tuple("-" * width for width in widths), *rows):
        click.echo("  ".join(f"{cell:<{w}}" for cell, w in zip(row, widths, strict=True)))
