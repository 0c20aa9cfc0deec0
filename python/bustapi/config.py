"""An app's configuration, and the ways to fill it.

Keys are upper-case names. What is read from files, objects and mappings is
filtered for that, so that a configuration file can use lower-case names for
itself. Relative file names are relative to the app's root path.
"""

from __future__ import annotations

import errno
import json
import os
import types
import typing as t

from werkzeug.utils import import_string

if t.TYPE_CHECKING:
    import typing_extensions as te

    from .sansio.app import App

T = t.TypeVar("T")


class ConfigAttribute(t.Generic[T]):
    """An attribute of the app that lives in its config.

    :param name: the config key.
    :param get_converter: applied to the value whenever the attribute is read;
        what is assigned goes into the config unchanged.
    """

    def __init__(self, name: str, get_converter: t.Callable[[t.Any], T] | None = None) -> None:
        self.__name__ = name
        self.get_converter = get_converter

    @t.overload
    def __get__(self, obj: None, owner: None) -> te.Self: ...

    @t.overload
    def __get__(self, obj: App, owner: type[App]) -> T: ...

    def __get__(self, obj: App | None, owner: type[App] | None = None) -> T | te.Self:
        if obj is None:
            return self

        value = obj.config[self.__name__]

        if self.get_converter is None:
            return t.cast("T", value)

        return self.get_converter(value)

    def __set__(self, obj: App, value: t.Any) -> None:
        obj.config[self.__name__] = value


class Config(dict[str, t.Any]):
    """A dict that can be filled from files, objects and the environment.

    .. code-block:: python

        app.config.from_object("shop.defaults")
        app.config.from_envvar("SHOP_SETTINGS", silent=True)
        app.config.from_prefixed_env()

    :param root_path: folder that relative file names start from.
    :param defaults: the first contents.
    """

    def __init__(
        self,
        root_path: str | os.PathLike[str],
        defaults: dict[str, t.Any] | None = None,
    ) -> None:
        super().__init__(defaults or {})
        self.root_path = root_path

    def from_envvar(self, variable_name: str, silent: bool = False) -> bool:
        """Load the Python file that an environment variable names.

        :param variable_name: the environment variable.
        :param silent: return ``False`` for an unset variable or a missing file
            instead of raising.
        :return: whether the file was loaded.
        :raises RuntimeError: the variable is unset or empty.
        :raises OSError: the file cannot be read.
        """
        filename = os.environ.get(variable_name)

        if filename:
            return self.from_pyfile(filename, silent=silent)

        if silent:
            return False

        raise RuntimeError(
            f"The environment variable {variable_name!r} is not set"
            " and as such configuration could not be loaded. Set"
            " this variable and make it point to a configuration"
            " file"
        )

    def from_prefixed_env(
        self, prefix: str = "FLASK", *, loads: t.Callable[[str], t.Any] = json.loads
    ) -> bool:
        """Take every environment variable that starts with a prefix.

        ``FLASK_NAME=value`` sets ``NAME``. Two underscores in a row step into a
        dict: ``FLASK_DB__HOST`` sets ``config["DB"]["HOST"]``, and missing dicts
        are made. Variables are taken in sorted order.

        :param prefix: the prefix without its final underscore.
        :param loads: makes a value of the text; when it raises, the text itself is
            the value. JSON as a rule.
        :return: ``True``.
        """
        prefix = f"{prefix}_"

        for variable in sorted(os.environ):
            if not variable.startswith(prefix):
                continue

            text = os.environ[variable]

            try:
                value = loads(text)
            except Exception:  # noqa: BLE001 `loads` is the caller's, any error means text
                value = text

            *steps, key = variable.removeprefix(prefix).split("__")
            target: dict[str, t.Any] = self

            for step in steps:
                if step not in target:
                    target[step] = {}

                target = target[step]

            target[key] = value

        return True

    def from_pyfile(self, filename: str | os.PathLike[str], silent: bool = False) -> bool:
        """Run a Python file and take its upper-case names.

        :param filename: absolute, or relative to the root path.
        :param silent: return ``False`` for a missing file instead of raising.
        :return: whether the file was loaded.
        :raises OSError: the file cannot be read.
        """
        filename = os.path.join(self.root_path, filename)
        module = types.ModuleType("config")
        module.__file__ = filename

        try:
            with open(filename, mode="rb") as file:
                source = file.read()
                exec(compile(source, filename, "exec"), module.__dict__)
        except OSError as e:
            if silent and e.errno in (errno.ENOENT, errno.EISDIR, errno.ENOTDIR):
                return False

            _say_config_file(e)
            raise

        self.from_object(module)
        return True

    def from_object(self, obj: object | str) -> None:
        """Take the upper-case attributes of an object, as a rule a module or class.

        The object is not called: properties of a class need an instance of it. The
        items of a dict are not attributes; :meth:`from_mapping` takes those.

        :param obj: the object, or the import name of one.
        :raises ImportError: there is no object of that name.
        """
        if isinstance(obj, str):
            obj = import_string(obj)

        for key in dir(obj):
            if key.isupper():
                self[key] = getattr(obj, key)

    def from_file(
        self,
        filename: str | os.PathLike[str],
        load: t.Callable[[t.IO[t.Any]], t.Mapping[str, t.Any]],
        silent: bool = False,
        text: bool = True,
    ) -> bool:
        """Take the upper-case keys of a file in any format.

        .. code-block:: python

            app.config.from_file("config.toml", load=tomllib.load, text=False)

        :param filename: absolute, or relative to the root path.
        :param load: reads the open file and returns a mapping.
        :param silent: return ``False`` for a missing file instead of raising.
        :param text: open the file as text (``True``) or as bytes.
        :return: whether the file was loaded.
        :raises OSError: the file cannot be read.
        """
        filename = os.path.join(self.root_path, filename)

        try:
            with open(filename, "r" if text else "rb") as file:
                mapping = load(file)
        except OSError as e:
            if silent and e.errno in (errno.ENOENT, errno.EISDIR):
                return False

            _say_config_file(e)
            raise

        return self.from_mapping(mapping)

    def from_mapping(self, mapping: t.Mapping[str, t.Any] | None = None, **kwargs: t.Any) -> bool:
        """Update from a mapping and keyword arguments, upper-case keys only.

        :return: ``True``.
        """
        items = dict(mapping) if mapping is not None else {}
        items.update(kwargs)

        for key, value in items.items():
            if key.isupper():
                self[key] = value

        return True

    def get_namespace(
        self, namespace: str, lowercase: bool = True, trim_namespace: bool = True
    ) -> dict[str, t.Any]:
        """Return the options whose keys start with a prefix, as keyword arguments.

        With ``STORE_TYPE`` and ``STORE_PATH`` set, ``get_namespace("STORE_")`` is
        ``{"type": ..., "path": ...}``.

        :param namespace: the prefix.
        :param lowercase: return the keys in lower case.
        :param trim_namespace: return the keys without the prefix.
        """
        found: dict[str, t.Any] = {}

        for key, value in self.items():
            if not key.startswith(namespace):
                continue

            if trim_namespace:
                key = key[len(namespace) :]

            found[key.lower() if lowercase else key] = value

        return found

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {super().__repr__()}>"


def _say_config_file(error: OSError) -> None:
    """Have the error's text tell that a configuration file was being read."""
    error.strerror = f"Unable to load configuration file ({error.strerror})"
