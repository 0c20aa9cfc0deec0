"""``python -m tests.applications.drive NAME PORT``: runs one script in its environment."""

import sys

from .application import load_applications
from .client import Client


def main() -> None:
    """Runs the script of the application that is named."""
    name, port = sys.argv[1:]
    (application,) = (entry for entry in load_applications() if entry.name == name)
    client = Client(int(port), application.per_connection)
    try:
        application.script(client)
    finally:
        client.close()


main()
