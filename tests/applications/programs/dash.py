"""Dash: a page made of callbacks, in headless Chromium.

Special in it: routes made at the first request, one POST route for all callbacks, large JavaScript
files with conditional requests and compression, uploads in base64 inside JSON, downloads, clientside
callbacks, errors in callbacks as 500 and as 204, pages below a prefix, and a browser's own idea of
connections.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from ..application import BUSTAPI, FLASK, Application, Client, Normalisation, Way, served_by_bustapi

SERVED = """\
import base64
import sys

import flask
from dash import Dash, Input, Output, Patch, State, ctx, dcc, html, no_update
from dash.exceptions import PreventUpdate

app = Dash(__name__, title="A däsh", url_base_pathname="/board/", compress=False)
server = app.server
server.secret_key = "a secret"
app.layout = html.Div([
    dcc.Location(id="url"),
    dcc.Store(id="store", data={"n": 0}),
    dcc.Input(id="name", value="nobody", debounce=True),
    html.Button("Click", id="click", n_clicks=0),
    html.Button("Fail", id="fail", n_clicks=0),
    html.Button("Get", id="get", n_clicks=0),
    dcc.Upload(id="upload", children=html.A("Upload"), multiple=True),
    dcc.Download(id="download"),
    dcc.Dropdown(id="choice", options=["a", "b", "c"], value="a"),
    html.Div(id="greeting"), html.Div(id="count"), html.Div(id="failed"),
    html.Div(id="uploaded"), html.Div(id="big"), html.Div(id="shout"), html.Div(id="list", children=[]),
    dcc.Graph(id="graph"),
])


@app.callback(Output("greeting", "children"), Input("name", "value"))
def greet(name):
    return f"Hällo {name}"


@app.callback(
    Output("count", "children"), Output("store", "data"), Output("list", "children"),
    Input("click", "n_clicks"), State("store", "data"),
)
def count(clicks, data):
    if not clicks:
        raise PreventUpdate
    added = Patch()
    added.append(html.P(f"number {clicks}"))
    ctx.response.set_cookie("clicks", str(clicks))
    return f"{clicks} of {ctx.triggered_id}", {"n": data["n"] + clicks}, added


@app.callback(Output("failed", "children"), Input("fail", "n_clicks"), prevent_initial_call=True)
def fail(clicks):
    raise RuntimeError("on purpose")


@app.callback(Output("uploaded", "children"), Input("upload", "contents"), State("upload", "filename"))
def upload(contents, names):
    if contents is None:
        return no_update
    sizes = [len(base64.b64decode(content.partition(",")[2])) for content in contents]
    return repr(sorted(zip(names, sizes)))


@app.callback(Output("download", "data"), Input("get", "n_clicks"), prevent_initial_call=True)
def download(clicks):
    return dcc.send_bytes(bytes(range(256)) * 1000, "bytes.bin")


@app.callback(Output("graph", "figure"), Output("big", "children"), Input("choice", "value"))
def draw(choice):
    points = list(range(5000))
    return {"data": [{"x": points, "y": [p * 2 for p in points]}]}, f"drawn {choice}"


app.clientside_callback(
    "function(text) { return (text || '').toUpperCase(); }",
    Output("shout", "children"), Input("greeting", "children"),
)


@server.get("/board/health/<int:number>")
def health(number):
    return flask.jsonify(number=number)


if __name__ == "__main__":
    app.run(port=int(sys.argv[1]), debug=False)
"""

#: Of Debian's Chromium: nothing but what the page asks for.
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1200,2000",
)


def browse(http: Client) -> None:
    """A person's use of the page."""
    import shutil

    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys
    from selenium.webdriver.support.ui import WebDriverWait

    with tempfile.TemporaryDirectory() as folder:
        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium") or ""
        for flag in (*FLAGS, f"--user-data-dir={folder}/profile"):
            options.add_argument(flag)
        options.add_experimental_option("prefs", {"download.default_directory": folder})
        browser = webdriver.Chrome(options, Service(shutil.which("chromedriver")))
        wait = WebDriverWait(browser, 40)

        def until(name: str, text: str) -> None:
            wait.until(lambda _: text in browser.find_element(By.ID, name).text, f"{name}: {text}")

        try:
            browser.get(f"{http.base}/board/")
            wait.until(lambda _: browser.find_elements(By.ID, "greeting"))
            until("greeting", "Hällo nobody")
            until("shout", "HÄLLO NOBODY")
            until("big", "drawn a")
            wait.until(lambda _: browser.find_elements(By.CSS_SELECTOR, "#graph .scatter"))
            field = browser.find_element(By.ID, "name")
            field.send_keys(Keys.CONTROL, "a")
            field.send_keys("Zoé <b>", Keys.ENTER)
            until("greeting", "Hällo Zoé <b>")
            for number in (1, 2, 3):
                browser.find_element(By.ID, "click").click()
                until("count", f"{number} of click")
            until("list", "number 3")
            assert browser.get_cookie("clicks")["value"] == "3"
            file = Path(folder, "a file.bin")
            file.write_bytes(bytes(300_000))
            browser.find_element(By.CSS_SELECTOR, "#upload input").send_keys(str(file))
            until("uploaded", "[('a file.bin', 300000)]")
            browser.find_element(By.ID, "get").click()
            wait.until(lambda _: Path(folder, "bytes.bin").exists())
            browser.find_element(By.ID, "fail").click()
            until("failed", "")
            browser.find_element(By.ID, "click").click()
            until("count", "4 of click")
            browser.refresh()
            until("greeting", "Hällo nobody")
            until("big", "drawn a")
        finally:
            browser.quit()


def update(http: Client, output: str, **more: object) -> None:
    """One callback, as the page's script calls it."""
    http.post("/board/_dash-update-component", json={"output": output, **more})


def script(http: Client) -> None:
    # Dash sets itself up in the first request of a process, and a second one that comes meanwhile
    # finds it half made, on any server with threads. So each process gets a first one by itself:
    # that one of two gets none of twelve connections happens once in two thousand runs.
    for _ in range(12):
        http.close()
        http.get("/board/health/1", expect=200)
    browse(http)
    page = http.get("/board/", expect=200)
    http.get("/board", follow=True)
    http.get("/")
    http.get("/board/none")
    http.head("/board/")
    layout = http.get("/board/_dash-layout", expect=200)
    assert layout.json()
    http.get("/board/_dash-dependencies", expect=200)
    http.get("/board/_favicon.ico?v=4.4.1")
    http.get("/board/_reload-hash")
    http.get("/board/health/3")
    http.get("/board/health/x")
    http.post("/board/health/3")
    parts = sorted(set(page.text.split('"')))
    for target in [part for part in parts if part.startswith("/board/_dash-component-suites/")]:
        answer = http.get(target, headers={"Accept-Encoding": "gzip, br"})
        http.get(target, headers={"If-None-Match": answer.headers["ETag"] or "none"})
    http.get("/board/_dash-component-suites/dash/none.js")
    http.get("/board/_dash-component-suites/none/none.js")
    http.get("/board/_dash-component-suites/dash/../__init__.py")
    named = {"id": "name", "property": "value", "value": "ä" * 200_000}
    greeting = {"id": "greeting", "property": "children"}
    update(
        http,
        "greeting.children",
        outputs=greeting,
        inputs=[named],
        changedPropIds=["name.value"],
    )
    update(http, "none.children", outputs=greeting, inputs=[], changedPropIds=[])
    update(
        http,
        "failed.children",
        outputs={"id": "failed", "property": "children"},
        inputs=[{"id": "fail", "property": "n_clicks", "value": 1}],
        changedPropIds=["fail.n_clicks"],
    )
    http.get("/board/_dash-update-component")
    http.post(
        "/board/_dash-update-component", body=b"{", headers={"Content-Type": "application/json"}
    )
    http.post("/board/_dash-update-component", body=json.dumps({}).encode())


APPLICATION = Application(
    name="dash",
    requirements=("dash==4.4.1", "selenium==4.51.0"),
    ways=(
        Way("app.run", FLASK, ("{program}", "served.py", "{port}")),
        *served_by_bustapi("served:server"),
        Way("app.run", BUSTAPI, ("{program}", "served.py", "{port}")),
    ),
    files={"served.py": SERVED},
    script=script,
    ready="/board/health/1",
    unordered=True,
    programs={"chromium": "chromium", "chromedriver": "chromium-driver"},
    normalisations=(
        Normalisation(r"(?P<keep>endId=)[^&]+", "names the process that made the page"),
        Normalisation(r'(?P<keep>"end_id":")[^"]+', "names the process that made the page"),
    ),
)
