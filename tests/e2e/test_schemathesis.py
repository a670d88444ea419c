"""Whatever `/openapi.json` allows, and what it does not: never a 5xx, always a described reply."""

import subprocess
import sys
from pathlib import Path

import pytest
from tests.e2e.conftest import Server

_CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "allow_header_conformance",
    "use_after_free",
)
_FUZZING_S = {"sqlite": 20, "postgresql": 12}


def test_the_server_stands_what_its_description_brings_about(
    request: pytest.FixtureRequest, open_server: Server, tmp_path: Path
) -> None:
    fuzzing_s = _FUZZING_S[request.node.callspec.params["open_server"]]
    command = [
        str(Path(sys.executable).with_name("schemathesis")),
        *("run", f"{open_server.url}/openapi.json"),
        *("--checks", ",".join(_CHECKS)),
        *("--phases", "coverage,fuzzing,stateful"),
        *("--max-examples", "12", "--max-time", str(fuzzing_s), "--generation-deterministic"),
        *("--exclude-path", "/v1/watch"),  # a stream without end
        *("--warnings", "off", "--no-color"),
    ]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=180, check=False
    )
    assert done.returncode == 0, done.stdout[-8000:]
    assert "request failed by a defect" not in open_server.log
    assert open_server.stop() == 0
