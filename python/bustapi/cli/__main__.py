"""``python -m bustapi.cli``: the ``bustapi`` command, as ``python -m flask.cli`` is Flask's."""

from .group import main

main()
