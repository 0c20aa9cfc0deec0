"""The checkers in `scripts/` see what they are there to see."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPTS = Path(__file__).resolve().parents[1] / "scripts"


def load_script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, SCRIPTS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


architecture = load_script("architecture")
check_imports = load_script("check_imports")

TABLE = """
    app
    ctx | views
    json.__init__
    json.tag
    globals
    _native
"""


@pytest.mark.parametrize(
    ("name", "source", "problem"),
    [
        ("ctx", "from .globals import g", None),
        ("ctx", "from . import json", None),
        ("ctx", "import bustapi.json.tag", None),
        ("ctx", "from .views import View", "may not import `views`"),
        ("ctx", "from .app import Flask", "may not import `app`"),
        ("ctx", "from bustapi.app import Flask", "may not import `app`"),
        ("json/tag", "from ..views import View", "may not import `views`"),
        ("json/tag", "from . import dumps", "may not import `json.__init__`"),
        ("ctx", "if TYPE_CHECKING:\n    from .app import Flask", None),
        ("views", "from ._native import x", "may not import the extension"),
        ("ctx", "def f():\n    import os", "inside a function"),
        ("ctx", "def f():\n    import dotenv  # optional dependency", None),
        ("app", "def f():\n    from .ctx import x  # optional", "inside a function"),
        ("ctx", "v = contextvars.ContextVar('v')", "only `globals`"),
        ("globals", "v: ContextVar[int] = ContextVar[int]('v')", None),
        ("ctx", "sys.modules['flask'] = None", "only `flask_compat`"),
        ("ctx", "sys.modules.pop('flask')", "only `flask_compat`"),
        ("ctx", "sys.modules.get('flask')", None),
        ("utils", "", "not in the table"),
    ],
)
def test_import_checker(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    source: str,
    problem: str | None,
) -> None:
    monkeypatch.setattr(check_imports, "PACKAGE", tmp_path)
    path = tmp_path / f"{name}.py"
    path.parent.mkdir(exist_ok=True)
    path.write_text(source)
    found = [text for _, text in check_imports.check_module(path, architecture.read_table(TABLE))]
    if problem is None:
        assert found == []
    else:
        assert len(found) == 1
        assert problem in found[0]


def test_crate_checker_follows_dependencies() -> None:
    check_crates = load_script("check_crates")
    graph = {"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": set()}
    assert check_crates.reach(graph, "a") == {"b": "a", "c": "b", "a": "c"}
    assert check_crates.reach(graph, "d") == {}


@pytest.mark.parametrize(
    ("licence", "allowed"),
    [
        ("MIT", True),
        ("GPL-3.0-only", False),
        ("GPL-3.0-only OR MIT", True),
        ("LGPL-2.1/Apache-2.0", True),
        ("MIT AND GPL-3.0-only", False),
        ("(MIT OR GPL-3.0-only) AND Unicode-3.0", True),
        ("(GPL-2.0 OR GPL-3.0-only) AND MIT", False),
        ("none", False),
    ],
)
def test_crate_checker_knows_licences(licence: str, allowed: bool) -> None:
    assert load_script("check_crates").is_allowed(licence) is allowed


def test_crate_checker_finds_modules_and_unused_dependencies(tmp_path: Path) -> None:
    check_crates = load_script("check_crates")
    source = tmp_path / "crate" / "src"
    source.mkdir(parents=True)
    (source / "lib.rs").write_text("""\
use used::Thing;
fn f() {
    py.import("werkzeug.routing")?;
    py.import(intern!(py, "bustapi.plan"))?;
    CELL.import(py, "asyncio", "Task")?;
    CELL.import(py, "flask", "Flask")?;
    py.import(module)?;
}
""")
    where = "crate/src/lib.rs"
    found = list(check_crates.find_modules(source))
    assert found == [('"bustapi.plan"', where), ('"flask"', where), ("module", where)]

    def dependency(name: str, kind: str | None) -> dict[str, str | None]:
        return {"name": name, "rename": None, "kind": kind}

    package = {
        "name": "crate",
        "manifest_path": str(tmp_path / "crate" / "Cargo.toml"),
        "dependencies": [dependency("used", None), dependency("not-used", None)],
    }
    assert list(check_crates.find_unused(package)) == ["not-used"]
    (tmp_path / "crate" / "tests").mkdir()
    (tmp_path / "crate" / "tests" / "a.rs").write_text("use not_used::Thing;")
    assert list(check_crates.find_unused(package)) == ["not-used"]
    package["dependencies"] = [dependency("not-used", "dev"), dependency("other", "dev")]
    assert list(check_crates.find_unused(package)) == ["other"]


FOLDERS = """
    serve
    rule | text
    error
"""


@pytest.mark.parametrize(
    ("name", "source", "problem"),
    [
        ("serve/server", "use crate::rule::part::Part;", None),
        ("serve/server", "use crate::{error::Error, rule::{self, part}};", None),
        ("rule/part", "use crate::serve::Server;", "rule/part.rs names crate/src/serve/server.rs"),
        (
            "rule/part",
            "fn f() { crate::text::quote::f() }",
            "rule/part.rs names crate/src/text/quote.rs",
        ),
        (
            "rule/part",
            "use super::super::serve::server;",
            "rule/part.rs names crate/src/serve/server.rs",
        ),
        ("rule/part", "use super::parse::Token;", "2 files name each other"),
        ("rule/part", "use crate::Top;", "names what the crate's root defines"),
        ("rule/part", "// crate::serve::Server, 'a', \"crate::serve::x\"", None),
        ("rule/part", 'const A: &str = r#"use crate::serve::Server;"#;', None),
        ("rule/part", "#[cfg(test)]\nmod tests { use crate::serve::Server; }", None),
        ("rule/part", "use http::serve::Server;", None),
    ],
)
def test_folder_checker(tmp_path: Path, name: str, source: str, problem: str | None) -> None:
    check_folders = load_script("check_folders")
    files = {
        "lib": "mod error;\nmod rule;\nmod serve;\nmod text;\npub use serve::Server;\nstruct Top;",
        "error": "pub struct Error;",
        "rule/mod": "pub(crate) mod parse;\npub(crate) mod part;",
        "rule/parse": "use super::part::Part;",
        "rule/part": "",
        "serve/mod": "pub(crate) mod server;\npub use server::Server;",
        "serve/server": "",
        "text/mod": "pub(crate) mod quote;",
        "text/quote": "use crate::error::Error;",
    }
    files[name] = source
    for file, text in files.items():
        path = tmp_path / "crate" / "src" / f"{file}.rs"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    source_folder = tmp_path / "crate" / "src"
    found = list(check_folders.check_crate(source_folder, architecture.read_table(FOLDERS)))
    if problem is None:
        assert found == []
    else:
        assert len(found) == 1
        assert problem in found[0]


PAGE = """\
# One `page`

[here](#one-page) and [nowhere](#two) and [gone](gone.md) and [out](https://example.org/)

```python
x = 1
```

```pycon
>>> x + 1
2
```

```console
$ [not](a-link.md)
```
"""


def test_docs_checker_finds_dead_links(tmp_path: Path) -> None:
    check_docs = load_script("check_docs")
    page = tmp_path / "page.md"
    page.write_text(PAGE)
    blocks, prose = check_docs.split_page(PAGE)
    assert [(block.language, block.line) for block in blocks] == [
        ("python", 6),
        ("pycon", 10),
        ("console", 15),
    ]
    assert list(check_docs.check_links(page, prose)) == [
        (3, "no heading `#two` in `page.md`"),
        (3, "no file `gone.md`"),
    ]


@pytest.mark.parametrize(("shown", "problems"), [("2", 0), ("3", 1)])
def test_docs_checker_runs_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shown: str, problems: int
) -> None:
    check_docs = load_script("check_docs")
    monkeypatch.setattr(check_docs, "ROOT", tmp_path)
    page = tmp_path / "page.md"
    blocks, _ = check_docs.split_page(PAGE.replace("\n2\n", f"\n{shown}\n"))
    assert len(list(check_docs.check_blocks(page, blocks))) == problems


def test_make_help_and_the_readme_name_targets_that_exist():
    folder = SCRIPTS.parent
    makefile = (folder / "Makefile").read_text()
    phony = re.search(r"^\.PHONY: ((?:.*\\\n)*.*)", makefile, re.MULTILINE)
    assert phony is not None
    targets = set(phony[1].replace("\\\n", " ").split())
    shown = subprocess.run(["make", "help"], cwd=folder, capture_output=True, text=True, check=True)
    named = re.findall(r"^  make (\w[\w -]*?)(?:  |$)", shown.stdout, re.MULTILINE)
    words = {word for line in named for word in line.split()}
    assert {"run", "setup", "test", "conformance", "clean"} <= words <= targets
    readme = (folder / "README.md").read_text()
    assert set(re.findall(r"(?:`|\$ )make ([\w-]+)", readme)) <= targets


def test_the_table_of_settings_is_in_the_documentation(tmp_path, monkeypatch, capsys):
    settings_table = load_script("settings_table")
    monkeypatch.setattr(sys, "argv", ["settings_table", "--check"])
    assert settings_table.main() == 0
    page = tmp_path / "deployment.md"
    page.write_text(settings_table.PAGE.read_text().replace("`--max-headers`", "`--headers`"))
    monkeypatch.setattr(settings_table, "PAGE", page)
    assert settings_table.main() == 1
    assert "scripts/settings_table.py" in capsys.readouterr().out
    monkeypatch.setattr(sys, "argv", ["settings_table"])
    assert settings_table.main() == 0
    assert "`--max-headers`" in page.read_text()
