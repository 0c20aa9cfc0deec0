"""MLflow: a tracking server, under its own client.

Special in it: hundreds of routes made of protocol buffers, JSON errors of its own, artifacts that are
streamed up and down through the server, a page application with static files, before-request checks
of Host and origin, and an SQL database that all workers share.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from ..application import BUSTAPI, FLASK, Application, Client, Normalisation, Way, served_by_bustapi

_GUNICORN = ("{program}", "-m", "gunicorn", "-b", "127.0.0.1:{port}", "mlflow.server:app")


def track(http: Client) -> str:
    """What a training program does; the run's id."""
    os.environ.update(
        MLFLOW_DISABLE_TELEMETRY="true",
        MLFLOW_HTTP_REQUEST_MAX_RETRIES="0",
        GIT_PYTHON_REFRESH="quiet",
    )
    import mlflow
    from mlflow.entities import Metric, Param, RunTag
    from mlflow.exceptions import MlflowException

    def fails(call, *arguments: object, **named: object) -> None:
        try:
            call(*arguments, **named)
        except MlflowException:
            return
        raise AssertionError(f"{call} was not refused")

    mlflow.set_tracking_uri(http.base)
    client = mlflow.MlflowClient(http.base)
    experiment = client.create_experiment("An éxperiment", tags={"a": "b"})
    fails(client.create_experiment, "An éxperiment")
    fails(client.get_experiment, "99")
    client.rename_experiment(experiment, "Renamed")
    client.search_experiments(filter_string="name LIKE 'Ren%'")
    run = client.create_run(experiment, run_name="a run", start_time=1).info.run_id
    for step in range(3):
        client.log_metric(run, "loss", 1 / (step + 1), timestamp=step, step=step)
    client.log_param(run, "rate", "0.1")
    fails(client.log_param, run, "rate", "0.2")
    client.log_batch(
        run,
        metrics=[Metric(f"m{n}", n, 1, 0) for n in range(500)],
        params=[Param(f"p{n}", "x" * 100) for n in range(100)],
        tags=[RunTag("täg", "välue")],
    )
    client.get_metric_history(run, "loss")
    client.get_run(run)
    client.search_runs([experiment], "metrics.loss < 0.5 and params.rate = '0.1'")
    fails(client.search_runs, [experiment], "broken <")
    fails(client.get_run, "0" * 32)
    client.log_text(run, "a téxt", "texts/one.txt")
    client.log_dict(run, {"a": 1}, "texts/two.json")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "large.bin")
        file.write_bytes(b"".join(b"%07d\n" % n for n in range(400_000)))
        client.log_artifact(run, str(file))
        client.list_artifacts(run)
        client.list_artifacts(run, "texts")
        back = client.download_artifacts(run, "large.bin", folder + "/")
        assert Path(back).read_bytes() == file.read_bytes()
    client.create_registered_model("A model", tags={"x": "y"}, description="of nothing")
    fails(client.create_registered_model, "A model")
    client.create_model_version("A model", f"runs:/{run}/texts", run)
    client.set_registered_model_alias("A model", "best", 1)
    client.get_model_version_by_alias("A model", "best")
    client.search_model_versions("name='A model'")
    client.set_terminated(run, end_time=2)
    client.delete_run(run)
    client.restore_run(run)
    client.delete_registered_model("A model")
    fails(client.get_registered_model, "A model")
    return run


def script(http: Client) -> None:
    run = track(http)
    http.get("/", expect=200)
    http.get("/health", expect=200)
    http.get("/version", expect=200)
    http.get("/none")
    http.get("/static-files/none.js")
    manifest = http.get("/static-files/manifest.json")
    http.get(
        "/static-files/manifest.json", headers={"If-None-Match": manifest.headers["ETag"] or ""}
    )
    http.get("/static-files/../__init__.py")
    one = f"/get-artifact?path=texts%2Fone.txt&run_uuid={run}"
    http.get(one, expect=200)
    http.get(one, headers={"Range": "bytes=0-3"})
    http.head(one)
    http.get(f"/get-artifact?path=..%2Fnone&run_uuid={run}")
    http.get(f"/get-artifact?path=none&run_uuid={run}")
    http.get("/get-artifact")
    api = "/api/2.0/mlflow"
    http.get(f"{api}/experiments/get?experiment_id=1", expect=200)
    http.get(f"{api}/experiments/get")
    http.get(f"{api}/experiments/get-by-name?experiment_name=Ren%61med")
    http.post(f"{api}/experiments/create", json={"name": ""})
    http.post(f"{api}/experiments/create", json={"name": 1})
    http.post(f"{api}/experiments/create", json=[])
    http.post(f"{api}/experiments/create", form={"name": "x"})
    http.post(f"{api}/experiments/create", body=b"{", headers={"Content-Type": "application/json"})
    http.post(f"{api}/runs/search", json={"experiment_ids": ["1"], "max_results": 1}, expect=200)
    http.post(f"{api}/runs/search", json={"max_results": 10**9})
    http.put(f"{api}/runs/search", json={})
    http.options(f"{api}/runs/search", headers={"Origin": "http://elsewhere.test"})
    http.post(f"{api}/runs/search", json={}, headers={"Origin": "http://elsewhere.test"})
    http.get("/health", headers={"Host": "elsewhere.test"})
    http.get("/version", headers={"Host": "elsewhere.test"})
    http.get(f"/ajax{api}/experiments/search?max_results=5")
    http.get(f"/ajax-api/2.0/mlflow/metrics/get-history-bulk?run_id={run}&metric_key=loss")
    artifacts = "/api/2.0/mlflow-artifacts/artifacts"
    http.get(f"{artifacts}?path=1", expect=200)
    http.put(f"{artifacts}/1/new.bin", body=b"x" * 3_000_000, expect=200)
    http.put(f"{artifacts}/1/pieces.bin", body=iter([b"a" * 100_000, b"b"]))
    http.get(f"{artifacts}/1/new.bin", expect=200)
    http.get(f"{artifacts}/1/pieces.bin")
    http.get(f"{artifacts}/1/none.bin")
    http.get(f"{artifacts}/1/%2e%2e/%2e%2e/x")
    http.delete(f"{artifacts}/1/new.bin")


APPLICATION = Application(
    name="mlflow",
    requirements=("mlflow==3.17.2",),
    ways=(
        Way("gunicorn", FLASK, _GUNICORN),
        *served_by_bustapi("mlflow.server:app"),
        Way("gunicorn", BUSTAPI, _GUNICORN),
    ),
    setup=(("{program}", "{bin}/mlflow", "db", "upgrade", "sqlite:///{folder}/ml.db"),),
    script=script,
    variables={
        "_MLFLOW_SERVER_FILE_STORE": "sqlite:///{folder}/ml.db",
        "_MLFLOW_SERVER_REGISTRY_STORE": "sqlite:///{folder}/ml.db",
        "_MLFLOW_SERVER_ARTIFACT_ROOT": "mlflow-artifacts:/",
        "_MLFLOW_SERVER_ARTIFACT_DESTINATION": "{folder}/artifacts",
        "_MLFLOW_SERVER_SERVE_ARTIFACTS": "true",
        "MLFLOW_FLASK_SERVER_SECRET_KEY": "a secret",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    },
    ready="/health",
    patience=180,
    normalisations=(
        Normalisation(r"(?<![0-9a-f])(m-)?[0-9a-f]{32}(?![0-9a-f])", "ids of runs and models"),
        Normalisation(r'(?P<keep>_(?:time|timestamp)": ?"?)\d{13}', "when things were made"),
        Normalisation(r"(?P<keep>last-modified: ).*", "of files that were uploaded just now"),
        # Werkzeug's ETag of a file: time, size, checksum of the path, which has the run's id in it.
        Normalisation(r'(?P<keep>etag: )"\d+\.\d+-\d+-\d+"', "of a file uploaded just now"),
        Normalisation(r"(?P<keep>expires: ).*", "counted from now"),
        Normalisation(r"(?P<keep>\[parameters: ).*?(?=\]\\n)", "times, in SQLite's message"),
    ),
)
