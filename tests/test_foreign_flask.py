"""Flask itself beside an application of BustAPI is noticed, and who brought it is named."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from live import DEADLINE, PACKAGE

pytest.importorskip("flask")

EXTENSION = {
    "an_extension/__init__.py": "from .manager import Manager\n",
    "an_extension/config.py": "SETTING = 1\n",
    "an_extension/manager.py": """
import json
from flask import current_app
from . import config


class Manager:
    def user(self):
        return current_app.name
""",
}
WARNS = "RuntimeWarning: The module 'an_extension.manager' has imported Flask itself"


@pytest.fixture
def run_program(tmp_path):
    def run(source, *command, files=EXTENSION):
        for name, text in {**files, "shop.py": source}.items():
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text(text)

        ran = subprocess.run(
            [sys.executable, *(command or ("shop.py",))],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": PACKAGE},
            capture_output=True,
            text=True,
            timeout=DEADLINE,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
        return ran.stderr

    return run


def test_an_extension_that_imports_flask(run_program):
    said = run_program(
        "from bustapi import Flask\n"
        "from an_extension import Manager\n"
        "\n"
        "app = Flask(__name__)\n"
        "other = Flask(__name__)\n"
        "app.test_client().get('/')\n"
    )
    assert said.count("has imported Flask itself") == 1
    assert f"shop.py:4: {WARNS}" in said
    assert "bustapi --flask-compat" in said
    assert "bustapi.flask_compat.install()" in said


def test_an_extension_that_comes_after_the_application(run_program):
    said = run_program(
        "from bustapi import Flask\n"
        "\n"
        "app = Flask(__name__)\n"
        "from an_extension import Manager\n"
        "print('made')\n"
        "app.test_client().get('/')\n"
    )
    assert said.count(WARNS) == 1


def test_the_application_imports_flask_itself(run_program):
    source = "from bustapi import Flask\nimport flask.views\n\napp = Flask(__name__)\n"
    assert "The module 'shop' has imported Flask itself" in run_program(
        source, "-m", "bustapi", "--app", "shop", "routes"
    )


def test_the_name_of_a_function_is_enough(run_program):
    files = {"helper.py": "from flask import url_for as build\n"}
    said = run_program("import helper\nfrom bustapi import Flask\nFlask('x')\n", files=files)
    assert "The module 'helper' has imported Flask itself" in said


def test_nothing_is_said_where_there_is_one(run_program):
    serve = "import bustapi\nbustapi.Flask('x').test_client().get('/')\n"
    install = "import bustapi.flask_compat\nbustapi.flask_compat.install()\n"
    assert run_program(serve) == ""
    assert run_program(f"{install}from an_extension import Manager\n{serve}") == ""
