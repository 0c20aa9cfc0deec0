"""The version of Flask whose API this package has, and the package's own.

Extensions ask for Flask's version to choose between its APIs, so ``__version__`` answers with
that one, and with the deprecation warning that Flask 3.1 gives.
"""

from __future__ import annotations

import importlib.metadata
import typing as t
import warnings

#: The release of Flask that is reproduced, name for name.
FLASK_VERSION = "3.1.3"


def bustapi_version() -> str:
    """The installed version of BustAPI, or ``0+source`` when run from an uninstalled tree."""
    try:
        return importlib.metadata.version("bustapi")
    except importlib.metadata.PackageNotFoundError:
        return "0+source"


def version_attribute(name: str) -> t.Any:
    """Answer for the package's computed attributes; it is the package's ``__getattr__``.

    ``__version__`` is Flask's version, ``__bustapi_version__`` the package's own.

    :raises AttributeError: for any other name.
    """
    if name == "__version__":
        warnings.warn(
            "The '__version__' attribute is deprecated and will be removed in"
            " Flask 3.2. Use feature detection or"
            " 'importlib.metadata.version(\"flask\")' instead.",
            DeprecationWarning,
            stacklevel=2,
        )
        return FLASK_VERSION

    if name == "__bustapi_version__":
        return bustapi_version()

    raise AttributeError(name)
