"""JSON that keeps Python types, in the form that Flask's session cookies have.

A value that JSON cannot hold is written as an object with one member, whose name
(the *tag*) tells how to read it back: ``(1, 2)`` is ``{" t": [1, 2]}``. A dict that
happens to look so is written with the tag ``" di"``. Tags are asked in order and
the first that wants a value takes it; dicts and lists have tags without a name,
which only pass their members on.

To write another type, subclass :class:`JSONTag` and register it:

.. code-block:: python

    class TagPath(JSONTag):
        __slots__ = ()
        key = " p"

        def check(self, value):
            return isinstance(value, PurePath)

        def to_json(self, value):
            return str(value)

        def to_python(self, value):
            return PurePath(value)

    app.session_interface.serializer.register(TagPath)
"""

# ruff: noqa: D102 what the methods of tags do is said in JSONTag
from __future__ import annotations

import typing as t
from base64 import b64decode, b64encode
from datetime import datetime
from uuid import UUID

from markupsafe import Markup
from werkzeug.http import http_date, parse_date

from .operations import dumps, loads


class JSONTag:
    """Writes and reads the values of one type.

    :param serializer: asked for the members of containers.
    """

    __slots__ = ("serializer",)

    #: The member name that marks a value. Empty for a tag that leaves no mark and
    #: is not asked when reading.
    key: str = ""

    def __init__(self, serializer: TaggedJSONSerializer) -> None:
        self.serializer = serializer

    def check(self, value: t.Any) -> bool:
        """Tell whether this tag writes `value`."""
        raise NotImplementedError

    def to_json(self, value: t.Any) -> t.Any:
        """Return `value` as something JSON has, without the mark."""
        raise NotImplementedError

    def to_python(self, value: t.Any) -> t.Any:
        """Undo :meth:`to_json`; members have been read already."""
        raise NotImplementedError

    def tag(self, value: t.Any) -> dict[str, t.Any]:
        """Return `value` as something JSON has, with the mark."""
        return {self.key: self.to_json(value)}


class TagDict(JSONTag):
    """Dicts of one item whose key is also the name of a tag.

    The key gets two underscores more, so that it is not taken for the tag.
    """

    __slots__ = ()
    key = " di"

    def check(self, value: t.Any) -> bool:
        if not isinstance(value, dict):
            return False

        items: dict[t.Any, t.Any] = value
        return len(items) == 1 and next(iter(items)) in self.serializer.tags

    def to_json(self, value: t.Any) -> t.Any:
        ((key, item),) = value.items()
        return {f"{key}__": self.serializer.tag(item)}

    def to_python(self, value: t.Any) -> t.Any:
        ((key, item),) = value.items()
        return {key[: -len("__")]: item}


class PassDict(JSONTag):
    """All other dicts: their values are tagged, they themselves are not."""

    __slots__ = ()

    def check(self, value: t.Any) -> bool:
        return isinstance(value, dict)

    def to_json(self, value: t.Any) -> t.Any:
        # Keys need no tag: JSON makes strings of them whatever they are.
        tag = self.serializer.tag
        return {key: tag(item) for key, item in value.items()}

    tag = to_json


class TagTuple(JSONTag):
    """Tuples, which JSON would return as lists."""

    __slots__ = ()
    key = " t"

    def check(self, value: t.Any) -> bool:
        return isinstance(value, tuple)

    def to_json(self, value: t.Any) -> t.Any:
        return [self.serializer.tag(item) for item in value]

    def to_python(self, value: t.Any) -> t.Any:
        return tuple(value)


class PassList(JSONTag):
    """Lists: their items are tagged, they themselves are not."""

    __slots__ = ()

    def check(self, value: t.Any) -> bool:
        return isinstance(value, list)

    def to_json(self, value: t.Any) -> t.Any:
        return [self.serializer.tag(item) for item in value]

    tag = to_json


class TagBytes(JSONTag):
    """Bytes, as Base64."""

    __slots__ = ()
    key = " b"

    def check(self, value: t.Any) -> bool:
        return isinstance(value, bytes)

    def to_json(self, value: t.Any) -> t.Any:
        return b64encode(value).decode("ascii")

    def to_python(self, value: t.Any) -> t.Any:
        return b64decode(value)


class TagMarkup(JSONTag):
    """Anything with an ``__html__`` method; it is read back as ``Markup``."""

    __slots__ = ()
    key = " m"

    def check(self, value: t.Any) -> bool:
        return callable(getattr(value, "__html__", None))

    def to_json(self, value: t.Any) -> t.Any:
        return str(value.__html__())

    def to_python(self, value: t.Any) -> t.Any:
        return Markup(value)


class TagUUID(JSONTag):
    """UUIDs, as 32 hexadecimal digits."""

    __slots__ = ()
    key = " u"

    def check(self, value: t.Any) -> bool:
        return isinstance(value, UUID)

    def to_json(self, value: t.Any) -> t.Any:
        return value.hex

    def to_python(self, value: t.Any) -> t.Any:
        return UUID(value)


class TagDateTime(JSONTag):
    """Datetimes, as HTTP dates: whole seconds in UTC."""

    __slots__ = ()
    key = " d"

    def check(self, value: t.Any) -> bool:
        return isinstance(value, datetime)

    def to_json(self, value: t.Any) -> t.Any:
        return http_date(value)

    def to_python(self, value: t.Any) -> t.Any:
        return parse_date(value)


class TaggedJSONSerializer:
    """Writes and reads JSON with tags; usable as a serializer for itsdangerous."""

    __slots__ = ("order", "tags")

    #: The tags that a new serializer has, in the order in which they are asked.
    default_tags: t.ClassVar[list[type[JSONTag]]] = [
        TagDict,
        PassDict,
        TagTuple,
        PassList,
        TagBytes,
        TagMarkup,
        TagUUID,
        TagDateTime,
    ]

    def __init__(self) -> None:
        #: Tags by their names, for reading.
        self.tags: dict[str, JSONTag] = {}
        #: Tags in the order in which they are asked, for writing.
        self.order: list[JSONTag] = []

        for tag_class in self.default_tags:
            self.register(tag_class)

    def register(
        self,
        tag_class: type[JSONTag],
        force: bool = False,
        index: int | None = None,
    ) -> None:
        """Add a tag.

        :param tag_class: made an instance of, for this serializer.
        :param force: take the name from a tag that has it already.
        :param index: place in the order; ``None`` is the end. A special case of
            another tag's type must come before that tag.
        :raises KeyError: the name is taken.
        """
        tag = tag_class(self)
        key = tag.key

        if key:
            if key in self.tags and not force:
                raise KeyError(f"Tag '{key}' is already registered.")

            self.tags[key] = tag

        self.order.insert(len(self.order) if index is None else index, tag)

    def tag(self, value: t.Any) -> t.Any:
        """Return `value` as the first tag that wants it writes it."""
        for tag in self.order:
            if tag.check(value):
                return tag.tag(value)

        return value

    def untag(self, value: dict[str, t.Any]) -> t.Any:
        """Read one object whose members have been read already."""
        if len(value) != 1:
            return value

        ((key, item),) = value.items()
        tag = self.tags.get(key)
        return value if tag is None else tag.to_python(item)

    def _untag_scan(self, value: t.Any) -> t.Any:
        """Read all objects within a value, the innermost first."""
        if isinstance(value, dict):
            members = t.cast("dict[str, t.Any]", value)
            return self.untag({k: self._untag_scan(v) for k, v in members.items()})

        if isinstance(value, list):
            items: list[t.Any] = value
            return [self._untag_scan(item) for item in items]

        return value

    def dumps(self, value: t.Any) -> str:
        """Write a value as JSON text without spaces.

        :raises TypeError: no tag knows a value within, nor does JSON.
        """
        return dumps(self.tag(value), separators=(",", ":"))

    def loads(self, value: str) -> t.Any:
        """Read what :meth:`dumps` wrote.

        :raises ValueError: the text is not JSON.
        """
        return self._untag_scan(loads(value))
