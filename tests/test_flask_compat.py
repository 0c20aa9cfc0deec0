"""``import flask`` after `flask_compat.install`, each in a fresh interpreter."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys

import pytest

from bustapi import flask_compat

# An interpreter that cannot see an installed Flask, be there one or not.
WITHOUT_FLASK = """
import importlib.abc
import importlib.metadata
import sys

class Hide(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "flask" or name.startswith("flask."):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Hide())

real = importlib.metadata.MetadataPathFinder.find_distributions

def find_distributions(self_or_context=None, *args):
    return (d for d in real(self_or_context, *args) if d.metadata["Name"].lower() != "flask")

importlib.metadata.MetadataPathFinder.find_distributions = staticmethod(find_distributions)
"""
INSTALL = "import bustapi.flask_compat as compat; compat.install()\n"


def run(code, folder=None):
    """What a script prints; warnings are errors."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("before", ["", WITHOUT_FLASK])
def test_modules_are_the_packages_own(before):
    code = """
import sys, flask, bustapi
for name in compat.MODULES:
    own = "bustapi" + name[5:]
    assert sys.modules[name] is sys.modules[own], name
    assert sys.modules[name].__name__ == name
    assert sys.modules[own].__spec__.name == own
import flask.views
from flask.json.tag import TagDict
assert flask.Flask is bustapi.Flask and flask.views.View is bustapi.views.View
print(flask.Flask("x").name)
"""
    assert run(before + INSTALL + code) == "x"


def test_a_module_that_is_loaded_later():
    code = """
import bustapi, flask
client = flask.Flask("x").test_client()
from flask.testing import FlaskClient
import bustapi.testing
assert bustapi.testing.FlaskClient is FlaskClient
print(isinstance(client, FlaskClient))
"""
    assert run(INSTALL + code) == "True"


def test_modules_that_flask_does_not_have():
    code = """
import flask.asgi
import bustapi.asgi
assert flask.asgi is bustapi.asgi
assert bustapi.asgi.__spec__.name == "bustapi.asgi"
from flask import version
assert version.FLASK_VERSION == "3.1.3"
try:
    import flask.ext.login
except ModuleNotFoundError as error:
    print(error.name)
"""
    assert run(INSTALL + code) == "flask.ext"


@pytest.mark.parametrize("before", ["", WITHOUT_FLASK])
def test_version_of_the_distribution(before):
    code = """
from importlib import metadata
import warnings
import flask
print(metadata.version("flask"), metadata.version("Flask"), metadata.metadata("flask")["Name"])
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    print(flask.__version__)
try:
    metadata.version("no-such-distribution")
except metadata.PackageNotFoundError:
    print("none")
"""
    assert run(before + INSTALL + code).split() == ["3.1.3", "3.1.3", "Flask", "3.1.3", "none"]


def test_distributions_are_not_made_up():
    code = """
from importlib import metadata
names = [d.metadata["Name"] for d in metadata.distributions()]
assert "Flask" not in names and "flask" not in names, names
print(len(names) > 3)
"""
    assert run(WITHOUT_FLASK + INSTALL + code) == "True"


def test_installing_twice_changes_nothing():
    code = """
import sys
finders = list(sys.meta_path)
compat.install()
print(finders == sys.meta_path)
"""
    assert run(INSTALL + code) == "True"


def test_flask_already_imported(tmp_path):
    (tmp_path / "flask.py").write_text("")
    code = """
import flask
import bustapi.flask_compat
try:
    bustapi.flask_compat.install()
except RuntimeError as error:
    print(error)
"""
    assert run(code, tmp_path) == (
        "Flask is already imported (flask): call 'bustapi.flask_compat.install()'"
        " before anything imports 'flask'."
    )


def test_warnings_are_attributed_to_flask():
    """Filters written for Flask's modules apply."""
    code = """
import warnings
import flask
app = flask.Flask("x", subdomain_matching=True)
app.config["SERVER_NAME"] = "shop.test"
with warnings.catch_warnings():
    warnings.filterwarnings("ignore", "Current server name", UserWarning, "flask.app")
    print(app.test_client().get("/", "http://foo.localhost").status_code)
"""
    assert run(INSTALL + code) == "404"


def test_an_application_and_an_extension_made_for_flask(tmp_path):
    (tmp_path / "extension.py").write_text("""
import importlib.metadata
from flask import current_app, g, request
from flask.signals import Namespace
from flask.sansio.scaffold import _endpoint_from_view_func
from flask.globals import _cv_app

assert importlib.metadata.version("flask").startswith("3.1")

class Extension:
    def init_app(self, app):
        app.extensions["extension"] = self
        app.before_request(lambda: setattr(g, "seen", request.path))
""")
    (tmp_path / "shop.py").write_text("""
from flask import Flask, g
from extension import Extension

app = Flask(__name__)
Extension().init_app(app)

@app.get("/a")
def a():
    return g.seen
""")
    code = "import shop; print(shop.app.test_client().get('/a').text)"
    assert run(WITHOUT_FLASK + INSTALL + code, tmp_path) == "/a"


def test_all_modules_of_the_list_exist():
    package = importlib.import_module("bustapi").__path__[0]

    for alias in flask_compat.MODULES:
        path = os.path.join(package, *alias.split(".")[1:])
        assert os.path.exists(f"{path}.py") or os.path.exists(os.path.join(path, "__init__.py"))


def test_importing_does_nothing_by_itself():
    """Only `install` does."""
    code = """
import sys
import bustapi.flask_compat
print("flask" in sys.modules, sys.modules["bustapi"].__name__)
"""
    assert run(code) == "False bustapi"
