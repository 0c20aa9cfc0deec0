"""The `Blueprint` of the package: `sansio`'s, with files to send and CLI commands."""

from __future__ import annotations

import os
import typing as t

from .cli import AppGroup
from .globals import current_app as current_app
from .helpers import send_from_directory as send_from_directory
from .resources import open_readable, send_file_max_age, send_static
from .sansio.blueprints import Blueprint as SansioBlueprint
from .sansio.blueprints import BlueprintSetupState as BlueprintSetupState
from .scaffold import _sentinel

if t.TYPE_CHECKING:  # pragma: no cover
    from .wrappers import Response


class Blueprint(SansioBlueprint):
    """A set of views, hooks, templates and static files to register on applications.

    :param name: first part of its endpoints; without dots, not empty.
    :param import_name: name of the module it is made in, as a rule ``__name__``.
    :param static_folder: folder of static files, relative to `root_path`; ``None`` for none.
    :param static_url_path: URL prefix of the static files; the folder's name by default.
    :param template_folder: folder of templates; the application's come before them.
    :param url_prefix: prefix of all its URLs.
    :param subdomain: subdomain of all its Rules.
    :param url_defaults: default values of all its Rules.
    :param root_path: folder that relative paths start from; found by `import_name` if ``None``.
    :param cli_group: name of the group for its CLI commands; ``None`` adds them to the
        application's own, and by default the group has the blueprint's name.
    :raises ValueError: for a bad `name`.
    """

    def __init__(
        self,
        name: str,
        import_name: str,
        static_folder: str | os.PathLike[str] | None = None,
        static_url_path: str | None = None,
        template_folder: str | os.PathLike[str] | None = None,
        url_prefix: str | None = None,
        subdomain: str | None = None,
        url_defaults: dict[str, t.Any] | None = None,
        root_path: str | None = None,
        cli_group: str | None = _sentinel,  # type: ignore[assignment]
    ) -> None:
        super().__init__(
            name,
            import_name,
            static_folder,
            static_url_path,
            template_folder,
            url_prefix,
            subdomain,
            url_defaults,
            root_path,
            cli_group,
        )
        #: The blueprint's CLI commands; registration adds them to the application's.
        self.cli = AppGroup()
        self.cli.name = self.name

    def get_send_file_max_age(self, filename: str | None) -> int | None:
        """Seconds that a static file may be cached; ``None`` asks for conditional requests.

        Override it to decide per file name.
        """
        return send_file_max_age()

    def send_static_file(self, filename: str) -> Response:
        """View of the static files.

        :raises RuntimeError: without a static folder.
        """
        return send_static(self, filename)

    def open_resource(
        self, resource: str, mode: str = "rb", encoding: str | None = "utf-8"
    ) -> t.IO[t.AnyStr]:
        """Open a file below `root_path` for reading.

        :param mode: ``rb``, ``r`` or ``rt``.
        :param encoding: of the text; not used with ``rb``.
        :raises ValueError: for a mode that writes.
        """
        return open_readable(os.path.join(self.root_path, resource), mode, encoding)
