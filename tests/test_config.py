from __future__ import annotations

import json
import os
import textwrap
from datetime import timedelta
from pathlib import Path

import pytest

import bustapi
from bustapi.config import Config, ConfigAttribute

SECRET = "upper-case names are taken"


@pytest.fixture
def config(tmp_path):
    return Config(tmp_path, {"FIRST": 1})


def test_defaults_are_the_first_contents(config):
    assert config == {"FIRST": 1}
    assert Config("/anywhere") == {}


def test_repr_names_the_class(config):
    assert repr(config) == "<Config {'FIRST': 1}>"


def test_from_object_takes_upper_case_attributes_only(config):
    class Base:
        SHARED = "base"
        OWN = "base"

    class Settings(Base):
        OWN = "settings"
        lower = "no"
        Mixed = "no"

    config.from_object(Settings)
    assert config == {"FIRST": 1, "SHARED": "base", "OWN": "settings"}


def test_from_object_imports_a_name(config):
    config.from_object(__name__)
    assert config["SECRET"] == SECRET
    assert "json" not in config

    with pytest.raises(ImportError):
        config.from_object("no_such_module.settings")


def test_from_object_reads_properties_of_instances(config):
    class Settings:
        @property
        def COMPUTED(self):
            return 3

    config.from_object(Settings())
    assert config["COMPUTED"] == 3


def test_from_pyfile_is_relative_to_the_root_path(config, tmp_path):
    (tmp_path / "settings.cfg").write_text("VALUE = 1 + 1\nwhere = __file__\nWHERE = where\n")
    assert config.from_pyfile("settings.cfg") is True
    assert config["VALUE"] == 2
    assert config["WHERE"] == str(tmp_path / "settings.cfg")
    assert "where" not in config


def test_from_pyfile_honours_the_coding_line(config, tmp_path):
    source = "# -*- coding: latin-1 -*-\nVALUE = 'föö'\n"
    (tmp_path / "latin.cfg").write_bytes(source.encode("latin-1"))
    assert config.from_pyfile("latin.cfg")
    assert config["VALUE"] == "föö"


def test_from_pyfile_of_a_missing_file(config):
    with pytest.raises(FileNotFoundError) as caught:
        config.from_pyfile("missing.cfg")

    assert str(caught.value).startswith(
        "[Errno 2] Unable to load configuration file (No such file or directory):"
    )
    assert caught.value.filename.endswith("missing.cfg")
    assert config.from_pyfile("missing.cfg", silent=True) is False
    assert config == {"FIRST": 1}


def test_silence_covers_missing_files_only(config, tmp_path):
    (tmp_path / "folder").mkdir()
    assert config.from_pyfile("folder", silent=True) is False
    (tmp_path / "file").touch()
    assert config.from_pyfile("file/below", silent=True) is False
    (tmp_path / "broken.cfg").write_text("VALUE = 1 / 0")

    with pytest.raises(ZeroDivisionError):
        config.from_pyfile("broken.cfg", silent=True)


def test_from_file_reads_text(config, tmp_path):
    (tmp_path / "settings.json").write_text('{"VALUE": [1], "lower": 2}')
    assert config.from_file("settings.json", load=json.load) is True
    assert config["VALUE"] == [1]
    assert "lower" not in config


def test_from_file_reads_bytes(config, tmp_path):
    (tmp_path / "settings.bin").write_bytes(b"\x00\xff")
    assert config.from_file("settings.bin", load=lambda f: {"BYTES": f.read()}, text=False)
    assert config["BYTES"] == b"\x00\xff"


def test_from_file_of_a_missing_file(config, tmp_path):
    with pytest.raises(OSError, match=r"Unable to load configuration file \(No such file"):
        config.from_file("missing.json", load=json.load)

    assert config.from_file("missing.json", load=json.load, silent=True) is False
    (tmp_path / "file").touch()

    # Unlike from_pyfile, a file in place of a folder is an error.
    with pytest.raises(NotADirectoryError):
        config.from_file("file/below", load=json.load, silent=True)


def test_from_mapping(config):
    assert config.from_mapping({"A": 1, "b": 2}, C=3, d=4) is True
    assert config.from_mapping() is True
    assert config == {"FIRST": 1, "A": 1, "C": 3}

    with pytest.raises(TypeError):
        config.from_mapping({}, {})


def test_keyword_arguments_win_over_the_mapping(config):
    config.from_mapping({"A": 1}, A=2)
    assert config["A"] == 2


def test_from_envvar(config, tmp_path, monkeypatch):
    (tmp_path / "settings.cfg").write_text("VALUE = 5")
    monkeypatch.setenv("SHOP_SETTINGS", "settings.cfg")
    assert config.from_envvar("SHOP_SETTINGS") is True
    assert config["VALUE"] == 5


@pytest.mark.parametrize("value", [None, ""])
def test_from_envvar_that_is_unset_or_empty(config, monkeypatch, value):
    monkeypatch.setattr(os, "environ", {} if value is None else {"SHOP_SETTINGS": value})
    assert config.from_envvar("SHOP_SETTINGS", silent=True) is False

    with pytest.raises(RuntimeError) as caught:
        config.from_envvar("SHOP_SETTINGS")

    assert str(caught.value) == (
        "The environment variable 'SHOP_SETTINGS' is not set and as such configuration"
        " could not be loaded. Set this variable and make it point to a configuration file"
    )


def test_from_prefixed_env_reads_json_or_text(config, monkeypatch):
    environ = {
        "FLASK_NUMBER": "3",
        "FLASK_FLAG": "false",
        "FLASK_LIST": "[1, 2]",
        "FLASK_TEXT": "{not json",
        "OTHER": "1",
        "FLASKY": "1",
    }
    monkeypatch.setattr(os, "environ", environ)
    assert config.from_prefixed_env() is True
    assert config == {
        "FIRST": 1,
        "NUMBER": 3,
        "FLAG": False,
        "LIST": [1, 2],
        "TEXT": "{not json",
    }


def test_from_prefixed_env_with_another_prefix_and_loader(config, monkeypatch):
    def loads(text):
        raise ArithmeticError("any error leaves the text")

    monkeypatch.setattr(os, "environ", {"SHOP_A": "1", "FLASK_B": "2"})
    config.from_prefixed_env("SHOP", loads=loads)
    assert config == {"FIRST": 1, "A": "1"}


def test_from_prefixed_env_steps_into_dicts(config, monkeypatch):
    config["DB"] = {"host": "old", "port": 1}
    environ = {
        "FLASK_DB__host": '"new"',
        "FLASK_NEW__a__b": "1",
        "FLASK_NEW__a__c": "2",
    }
    monkeypatch.setattr(os, "environ", environ)
    config.from_prefixed_env()
    assert config["DB"] == {"host": "new", "port": 1}
    assert config["NEW"] == {"a": {"b": 1, "c": 2}}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, {"type": "fs", "path": "/x"}),
        ({"lowercase": False}, {"TYPE": "fs", "PATH": "/x"}),
        ({"trim_namespace": False}, {"store_type": "fs", "store_path": "/x"}),
        (
            {"lowercase": False, "trim_namespace": False},
            {"STORE_TYPE": "fs", "STORE_PATH": "/x"},
        ),
    ],
)
def test_get_namespace(config, options, expected):
    config.from_mapping(STORE_TYPE="fs", STORE_PATH="/x", STOREY=1)
    assert config.get_namespace("STORE_", **options) == expected


def test_an_attribute_lives_in_the_config():
    class Shop(bustapi.Flask):
        limit = ConfigAttribute("LIMIT", get_converter=int)
        label = ConfigAttribute("LABEL")

    shop = Shop(__name__)
    shop.limit = "7"
    shop.label = "x"
    assert shop.config["LIMIT"] == "7"
    assert shop.limit == 7
    assert shop.label == "x"
    assert isinstance(Shop.limit, ConfigAttribute)


def test_the_session_lifetime_accepts_seconds(app):
    app.permanent_session_lifetime = 42
    assert app.permanent_session_lifetime == timedelta(seconds=42)
    assert app.config["PERMANENT_SESSION_LIFETIME"] == 42


def test_an_app_reads_files_relative_to_its_root(tmp_path):
    (tmp_path / "shop.cfg").write_text(textwrap.dedent("SECRET_KEY = 'from file'"))
    app = bustapi.Flask(__name__, root_path=str(tmp_path))
    app.config.from_pyfile(Path("shop.cfg"))
    assert app.secret_key == "from file"


def test_a_config_class_of_the_app(tmp_path):
    class Counting(Config):
        def __setitem__(self, key, value):
            assigned.append(key)
            super().__setitem__(key, value)

    assigned = []
    config = Counting(tmp_path)
    config.from_mapping(A=1, b=2)
    config.from_object(type("Settings", (), {"C": 3}))
    assert assigned == ["A", "C"]
