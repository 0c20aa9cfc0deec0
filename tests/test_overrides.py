"""Whether an application has replaced what is done natively: one answer for all who ask."""

from __future__ import annotations

import typing as t

import pytest
from werkzeug.routing import IntegerConverter

import bustapi
from bustapi import Flask, url_for
from bustapi._native import Defaults
from bustapi.json.provider import DefaultJSONProvider
from bustapi.routing import Map, MapAdapter, Rule


class Base:
    size = 1

    def read(self) -> str:
        return "base"

    @staticmethod
    def name() -> str:
        return "base"

    @classmethod
    def make(cls) -> Base:
        return cls()

    @property
    def state(self) -> str:
        return "base"


GROUPS = {
    "reading": ("read", "state"),
    "making": ("make", "name", "size"),
    "missing": ("write",),
}


@pytest.fixture
def defaults() -> Defaults:
    return Defaults(Base, GROUPS)


def test_a_class_that_adds_nothing_replaces_nothing(defaults: Defaults) -> None:
    class Derived(Base):
        other = 2

    for cls in (Base, Derived):
        assert not defaults.replaced_by(cls)
        assert not defaults.replaced_in(cls())


@pytest.mark.parametrize(
    ("name", "group"),
    [(name, group) for group, names in GROUPS.items() for name in names],
)
def test_each_name_counts_for_its_group(defaults: Defaults, name: str, group: str) -> None:
    derived = type("Derived", (Base,), {name: None})
    assert defaults.replaced_by(derived)
    for other in GROUPS:
        assert defaults.replaced_by(derived, other) is (other == group)
        assert defaults.replaced_in(derived(), other) is (other == group)


def test_what_is_set_on_an_object_counts(defaults: Defaults) -> None:
    obj = Base()
    obj.__dict__["read"] = None
    assert defaults.replaced_in(obj, "reading")
    assert not defaults.replaced_in(obj, "making", "missing")
    assert not defaults.replaced_by(Base)


def test_a_patch_is_noticed_and_so_is_its_end(defaults: Defaults) -> None:
    class Derived(Base):
        pass

    assert not defaults.replaced_by(Derived, "missing")
    for patched in (Base, Derived):
        patched.write = lambda self: None  # type: ignore[attr-defined]
        assert defaults.replaced_by(Derived, "missing")
        del patched.write  # type: ignore[attr-defined]
        assert not defaults.replaced_by(Derived, "missing")


def test_more_classes_than_are_remembered(defaults: Defaults) -> None:
    plain = [type("Derived", (Base,), {}) for _ in range(20)]
    changed = [type("Derived", (Base,), {"read": None}) for _ in range(20)]
    for _ in range(2):
        assert not any(defaults.replaced_by(cls, "reading") for cls in plain)
        assert all(defaults.replaced_by(cls, "reading") for cls in changed)


def test_a_stranger_has_replaced_all(defaults: Defaults) -> None:
    for group in GROUPS:
        assert defaults.replaced_by(object, group)
        assert defaults.replaced_in(object(), group)


def test_unknown_groups_are_refused(defaults: Defaults) -> None:
    with pytest.raises(KeyError, match="writing"):
        defaults.replaced_by(Base, "writing")
    with pytest.raises(ValueError, match="32"):
        Defaults(Base, {str(number): () for number in range(33)})


def test_native_halves_want_the_groups_that_they_know() -> None:
    from bustapi import _native

    with pytest.raises(ValueError, match="writes"):
        _native.set_json_provider(Defaults(DefaultJSONProvider, {"reads": ("loads",)}))
    with pytest.raises(RuntimeError, match="before"):
        _native.set_json_provider(
            Defaults(DefaultJSONProvider, {"writes": ("dumps",), "reads": ("loads",)})
        )


# ------------------------------------------------------------------ who asks


def shout(text: str) -> str:
    return text.upper()


def test_a_patched_application_class_builds_its_own_urls(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    app.add_url_rule("/here", "here", lambda: url_for("here"))
    client = app.test_client()
    assert client.get("/here").text == "/here"

    original = Flask.url_for

    def patched(self: Flask, endpoint: str, **values: t.Any) -> str:
        return shout(original(self, endpoint, **values))

    # Code that says to be from the package's file is still not the package's.
    patched.__code__ = patched.__code__.replace(co_filename=bustapi.app.__file__)
    with monkeypatch.context() as patch:
        patch.setattr(Flask, "url_for", patched)
        assert client.get("/here").text == "/HERE"
    assert client.get("/here").text == "/here"


def test_a_patched_adapter_class_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    adapter = Map([Rule("/<name>", endpoint="page")]).bind("localhost")
    assert adapter.build("page", {"name": "a"}) == "/a"
    original = MapAdapter._partial_build

    def patched(self: MapAdapter, *args: t.Any) -> t.Any:
        built = original(self, *args)
        assert built is not None
        return built[0], shout(built[1]), built[2]

    with monkeypatch.context() as patch:
        patch.setattr(MapAdapter, "_partial_build", patched)
        assert adapter.build("page", {"name": "a"}) == "/A"
    assert adapter.build("page", {"name": "a"}) == "/a"


def test_a_patched_rule_class_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Rule, "provides_defaults_for", lambda _self, _rule: False)
    rules = [
        Rule("/", endpoint="page", defaults={"page": 1}),
        Rule("/<int:page>", endpoint="page"),
    ]
    adapter = Map(rules).bind("localhost")
    assert adapter.match("/1") == ("page", {"page": 1})


def test_a_patched_converter_class_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(IntegerConverter, "to_python", lambda _self, value: -int(value))
    adapter = Map([Rule("/<int:number>", endpoint="page")]).bind("localhost")
    assert adapter.match("/7") == ("page", {"number": -7})


def test_sessions_are_written_by_a_patched_json_provider(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    app.secret_key = "key"
    written: list[t.Any] = []
    original = DefaultJSONProvider.dumps

    def patched(self: DefaultJSONProvider, obj: t.Any, **kwargs: t.Any) -> str:
        written.append(obj)
        return original(self, obj, **kwargs)

    @app.get("/")
    def index() -> str:
        bustapi.session["a"] = 1
        return ""

    client = app.test_client()
    client.get("/")
    assert written == []
    with monkeypatch.context() as patch:
        patch.setattr(DefaultJSONProvider, "dumps", patched)
        client.get("/")
    # The serializer asks with an empty object whether it is given text.
    assert written[-1] == {"a": 1}
