"""``python -m bustapi``: the same as the ``bustapi`` command."""

from .cli import main

main()
