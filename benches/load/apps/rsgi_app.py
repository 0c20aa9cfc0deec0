"""granian's RSGI without a framework: what Python behind that server costs at least."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import inputs

TEXT = [("content-type", "text/plain; charset=utf-8")]
JSON = [("content-type", "application/json")]


async def app(scope: Any, protocol: Any) -> None:
    if scope.path == "/async":
        await asyncio.sleep(0)

    if scope.path == "/":
        protocol.response_str(200, TEXT, inputs.MESSAGE)
    elif scope.path in {"/json", "/async"}:
        protocol.response_str(200, JSON, json.dumps({"message": inputs.MESSAGE}))
    elif scope.path == "/tick":
        protocol.response_str(200, JSON, json.dumps({"n": inputs.count_call()}))
    else:
        protocol.response_str(404, TEXT, "not found")
