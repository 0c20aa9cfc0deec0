"""What all applications share: their data, and what the measuring script tells them."""

from __future__ import annotations

import itertools
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import jinja2

TEMPLATES = str(Path(__file__).with_name("templates"))
STATIC = os.environ["BENCH_STATIC"]
PORT = int(os.environ["BENCH_PORT"])
#: ``base``, ``routes``, ``session`` or ``hooks``.
VARIANT = os.environ.get("BENCH_VARIANT", "base")
ROUTES = 500

MESSAGE = "Hello, World!"
TITLE = "Items"
ROWS = [{"id": number, "name": f"Item <{number}>", "price": number * 1.5} for number in range(10)]
SECRET = "only-for-benchmarks-0123456789abcdef"
SLEEP_SECONDS = 0.01

_calls = itertools.count(1)


def count_call() -> int:
    """A new number each time: an answer from a cache would repeat one."""
    return next(_calls)


def table_template() -> jinja2.Template:
    """The template for frameworks without templates of their own."""
    from jinja2 import Environment, FileSystemLoader, select_autoescape

    loader = FileSystemLoader(TEMPLATES)
    environment = Environment(loader=loader, autoescape=select_autoescape(), auto_reload=False)
    return environment.get_template("table.html")
