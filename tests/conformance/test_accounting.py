"""The runner's own judgement: outcomes, scores, proofs and the manifest."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from .accounting import read_junit, score
from .execution import ALIAS, _judge_proof
from .manifest import ManifestError, load_deviations, load_suites, project_of
from .type_checks import read_mypy, rename_imports

if TYPE_CHECKING:
    from pathlib import Path

JUNIT = """\
<testsuites><testsuite>
<testcase classname="tests.test_a" name="test_passes"/>
<testcase classname="tests.test_a" name="test_fails"><failure>no</failure></testcase>
<testcase classname="tests.test_a" name="test_skips"><skipped/></testcase>
<testcase classname="tests.test_a" name="test_teardown"/>
<testcase classname="tests.test_a" name="test_teardown"><error>late</error></testcase>
</testsuite></testsuites>
"""


def test_junit_outcomes_are_the_worst_of_each_test(tmp_path: Path) -> None:
    path = tmp_path / "junit.xml"
    path.write_text(JUNIT)
    assert read_junit(path) == {
        "tests.test_a::test_passes": "passed",
        "tests.test_a::test_fails": "failed",
        "tests.test_a::test_skips": "skipped",
        "tests.test_a::test_teardown": "error",
    }


@pytest.mark.parametrize("content", [None, "", "<testsuites><testcase"])
def test_an_unfinished_junit_file_holds_nothing(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "junit.xml"
    if content is not None:
        path.write_text(content)
    assert read_junit(path) == {}


def test_score_counts_only_what_passes_on_flask() -> None:
    on_flask = {"a": "passed", "b": "passed", "c": "failed", "d": "passed"}
    on_bustapi = {"a": "passed", "b": "failed", "c": "passed", "e": "passed"}
    result = score(on_flask, on_bustapi, {})
    assert (result.passed, result.baseline) == (1, 3)
    assert result.lost == ("b", "d"), "a test that was not collected is lost"
    assert not result.complete


def test_a_deviation_excuses_its_test_and_no_other() -> None:
    on_flask = {"a": "passed", "b": "passed"}
    result = score(on_flask, {"a": "passed", "b": "failed"}, {"b": "known"})
    assert result.deviating == ("b",)
    assert result.complete
    assert result.passed == 1


@pytest.mark.parametrize("listed", ["a", "gone"])
def test_a_deviation_that_is_none_is_an_error(listed: str) -> None:
    result = score({"a": "passed"}, {"a": "passed"}, {listed: "known"})
    assert result.stale == (listed,)
    assert not result.complete


@pytest.mark.parametrize(
    ("proof", "problem"),
    [
        ({"application_class": "bustapi.app.BustAPI", "strays": []}, ""),
        ({"application_class": "flask.app.Flask", "strays": []}, "`flask.Flask` is"),
        ({"application_class": "bustapi.app.Flask", "strays": ["flask.json (x)"]}, "not from"),
    ],
)
def test_a_run_counts_only_with_proof(
    tmp_path: Path, proof: dict[str, object], problem: str
) -> None:
    path = tmp_path / "proof.json"
    assert _judge_proof(path, "bustapi") == "the run left no proof of its framework"
    path.write_text(json.dumps(proof))
    found = _judge_proof(path, "bustapi")
    assert found == problem if not problem else problem in found


def test_real_flask_in_a_bustapi_run_is_seen(tmp_path: Path) -> None:
    """The plugin's own eyes: a `flask` from elsewhere than the framework's folder."""
    elsewhere = tmp_path / "elsewhere" / "flask"
    elsewhere.mkdir(parents=True)
    (elsewhere / "__init__.py").write_text("class Flask: pass\n")
    (tmp_path / "home").mkdir()
    (tmp_path / "test_it.py").write_text("def test_it(): import flask\n")
    proof = tmp_path / "proof.json"
    subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "conformance_alias", "test_it.py"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
        env={
            "PYTHONPATH": f"{ALIAS}:{elsewhere.parent}",
            "CONFORMANCE_FRAMEWORK": "flask",
            "CONFORMANCE_PACKAGE": str(tmp_path / "home"),
            "CONFORMANCE_PROOF": str(proof),
        },
    )
    assert "flask (" in json.loads(proof.read_text())["strays"][0]
    assert "not from flask" in _judge_proof(proof, "flask")


def test_the_manifest_is_complete_and_exact() -> None:
    suites = load_suites()
    assert {"flask", "flask-tutorial", "httpbin"} <= {suite.name for suite in suites}
    for suite in suites:
        assert suite.baseline > 0
        assert len(suite.sha256) == 64
        assert all("==" in requirement for requirement in suite.requirements)
        assert "flask" in {project_of(requirement) for requirement in suite.requirements}
    assert {suite.name for suite in suites} >= load_deviations().reasons.keys()


def test_a_suite_replaces_common_requirements(tmp_path: Path) -> None:
    path = tmp_path / "manifest.toml"
    path.write_text(
        '[common]\nrequirements = ["flask==3.1.3", "six==1.0"]\n'
        '[[suite]]\nname = "n"\nversion = "1"\nproject = "n"\nfile = "n.tar.gz"\n'
        'sha256 = ""\nbaseline = 1\nrequirements = ["Six==2.0"]\n'
    )
    assert load_suites(path)[0].requirements == ("flask==3.1.3", "Six==2.0")


def test_malformed_manifests_are_refused(tmp_path: Path) -> None:
    manifest = tmp_path / "manifest.toml"
    manifest.write_text('[common]\nrequirements = []\n[[suite]]\nname = "n"\n')
    with pytest.raises(ManifestError, match="suite n"):
        load_suites(manifest)
    deviations = tmp_path / "deviations.toml"
    deviations.write_text('[[deviation]]\nsuite = "n"\ntest = "t"\nreason = ""\n')
    with pytest.raises(ManifestError, match="no reason"):
        load_deviations(deviations)


def test_mypy_outcomes_are_by_file(tmp_path: Path) -> None:
    log = tmp_path / "log"
    files = ["a/one.py", "a/two.py"]
    log.write_text("a/two.py:3: error: no  [misc]\na/two.py:4: note: x\n")
    assert read_mypy(log, files) == {}, "ended before its last line"
    log.write_text(log.read_text() + "Found 1 error in 1 file (checked 2 source files)\n")
    assert read_mypy(log, files) == {"a/one.py": "passed", "a/two.py": "failed"}
    log.write_text("Success: no issues found in 2 source files\n")
    assert read_mypy(log, files) == {"a/one.py": "passed", "a/two.py": "passed"}


def test_only_imports_are_renamed(tmp_path: Path) -> None:
    path = tmp_path / "app.py"
    path.write_text("import flask\nfrom flask.views import View  # flask\nimport flask_x\n")
    rename_imports(path)
    assert path.read_text() == (
        "import bustapi\nfrom bustapi.views import View  # flask\nimport flask_x\n"
    )
