"""Makes ``import flask`` give BustAPI, for applications and extensions made for Flask.

After `install`, each module of Flask's name *is* the module of this package: one object with
two entries in ``sys.modules``, so that classes are the same whichever name they were imported
by. The modules also take Flask's names as their ``__name__``: warnings tell by it where they
come from, and filters written for Flask (``flask.app``) go on working.

``importlib.metadata`` answers for the distribution named Flask with the release whose API
this is, as extensions ask for its version, whether or not Flask is installed.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import typing as t
from email.message import Message
from importlib.abc import Loader
from importlib.machinery import ModuleSpec
from importlib.metadata import Distribution, DistributionFinder

from .version import FLASK_VERSION

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from os import PathLike
    from types import ModuleType

_OWN = "bustapi"
_ALIAS = "flask"

#: Flask's modules that its import brings along; the others, such as `flask.testing`, and those
#: that Flask does not have, get an alias when they are imported.
MODULES = (
    "flask",
    "flask.app",
    "flask.blueprints",
    "flask.cli",
    "flask.config",
    "flask.ctx",
    "flask.debughelpers",
    "flask.globals",
    "flask.helpers",
    "flask.json",
    "flask.json.provider",
    "flask.json.tag",
    "flask.logging",
    "flask.sansio",
    "flask.sansio.app",
    "flask.sansio.blueprints",
    "flask.sansio.scaffold",
    "flask.sessions",
    "flask.signals",
    "flask.templating",
    "flask.typing",
    "flask.views",
    "flask.wrappers",
)


def _own_name(alias: str) -> str:
    return _OWN + alias[len(_ALIAS) :]


def install() -> None:
    """Put this package in Flask's place, for this process and for good.

    Calling it again changes nothing.

    :raises RuntimeError: if Flask itself is already imported; its classes are then in use, and
        an application with parts of both would fail in strange ways.
    """
    own = sys.modules[_OWN]

    if sys.modules.get(_ALIAS) is own:
        return

    early = sorted(name for name in sys.modules if name == _ALIAS or name.startswith(f"{_ALIAS}."))

    if early:
        raise RuntimeError(
            f"Flask is already imported ({', '.join(early[:3])}):"
            " call 'bustapi.flask_compat.install()' before anything imports 'flask'."
        )

    for alias in MODULES:
        _present(importlib.import_module(_own_name(alias)), alias)

    # First, or an installed Flask would give its own modules that this package lacks, and
    # its own version.
    sys.meta_path.insert(0, _FlaskFinder())


def _present(module: ModuleType, alias: str) -> None:
    """Enter `module` under Flask's name too."""
    module.__name__ = alias
    sys.modules[alias] = module


_ANY_DISTRIBUTION = DistributionFinder.Context()


class _FlaskFinder(DistributionFinder):
    """Finds modules of this package, and a distribution, under Flask's name."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        """The spec of an alias that is not entered yet; ``None`` if there is no such module."""
        if not fullname.startswith(f"{_ALIAS}."):
            return None

        if importlib.util.find_spec(_own_name(fullname)) is None:
            return None

        return ModuleSpec(fullname, _AliasLoader())

    def find_distributions(
        self, context: DistributionFinder.Context = _ANY_DISTRIBUTION
    ) -> Iterable[Distribution]:
        """The distribution, when it is asked for by its name; it is not listed among all."""
        if context.name is not None and context.name.lower() == _ALIAS:
            yield _FlaskDistribution()


class _AliasLoader(Loader):
    """Loads the module that an alias stands for."""

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """The module itself, imported under its own name."""
        module = importlib.import_module(_own_name(spec.name))
        # The import system is about to put the alias's spec in its place.
        spec.loader_state = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Undo what the import system wrote; the module was executed under its own name."""
        spec = module.__spec__
        assert spec is not None, "the import system has just set it"
        module.__spec__ = spec.loader_state
        _present(module, spec.name)


class _FlaskDistribution(Distribution):
    """What ``importlib.metadata`` knows of Flask."""

    def read_text(self, filename: str) -> str | None:
        """The metadata; there is no other file."""
        if filename != "METADATA":
            return None

        metadata = Message()
        metadata["Metadata-Version"] = "2.1"
        metadata["Name"] = "Flask"
        metadata["Version"] = FLASK_VERSION
        metadata["Summary"] = "Flask's API, provided by BustAPI"
        return metadata.as_string()

    def locate_file(self, path: str | PathLike[str]) -> t.NoReturn:
        """There are no files.

        :raises FileNotFoundError: always.
        """
        raise FileNotFoundError(path)
