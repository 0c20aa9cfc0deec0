"""Where an importable package lives on disk, and below which prefix it is installed.

Only the instance folder needs this: an installed application keeps its instance files under
``<prefix>/var``, one that runs from its source tree keeps them beside the package.
"""

from __future__ import annotations

import importlib.util
import os
import pathlib
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec


def _namespace_portion(root: ModuleSpec, import_name: str) -> str:
    """The folder of the namespace package `root` through which `import_name` is reached."""
    portions = list(root.submodule_search_locations or ())
    inner = importlib.util.find_spec(import_name)

    if inner is None or not inner.submodule_search_locations:
        return portions[0]

    inner_path = pathlib.Path(os.path.commonpath(inner.submodule_search_locations))
    return next(portion for portion in portions if inner_path.is_relative_to(portion))


def _containing_folder(import_name: str) -> str:
    """The folder that would have to be on ``sys.path`` to import `import_name`.

    It is the working directory where the import system cannot tell: a name that does not
    exist, or ``__main__`` in an interactive session.
    """
    root_name = import_name.partition(".")[0]

    try:
        root = importlib.util.find_spec(root_name)
    except (ImportError, ValueError):
        # ImportError: the machinery gave up.  ValueError: the module is loaded, with no spec.
        return os.getcwd()

    if root is None:
        return os.getcwd()

    if not root.submodule_search_locations:
        return os.path.dirname(root.origin or "")

    if root.origin is None or root.origin == "namespace":
        return os.path.dirname(_namespace_portion(root, import_name))

    # .../package/__init__.py
    return os.path.dirname(os.path.dirname(root.origin))


def _site_packages_prefix(folder: str) -> str | None:
    """The installation prefix that `folder` is the ``site-packages`` of, if it is one."""
    above, name = os.path.split(folder)

    if name.lower() != "site-packages":
        return None

    prefix, lib = os.path.split(above)

    # Windows: prefix/Lib/site-packages
    if lib.lower() == "lib":
        return prefix

    # POSIX: prefix/lib/pythonX.Y/site-packages
    if os.path.basename(prefix).lower() == "lib":
        return os.path.dirname(prefix)

    return above


def find_package(import_name: str) -> tuple[str | None, str]:
    """The installation prefix of a package and the folder that contains it.

    The prefix is ``None`` for a package that is not installed. The folder is the one Python
    would need on ``sys.path``, not the package's own.
    """
    folder = _containing_folder(import_name)
    interpreter_prefix = os.path.abspath(sys.prefix)

    if pathlib.PurePath(folder).is_relative_to(interpreter_prefix):
        return interpreter_prefix, folder

    return _site_packages_prefix(folder), folder
