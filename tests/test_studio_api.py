"""The studio's API does what its own OpenAPI description says, whatever it is sent."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from studio_folder import Served, make_folder

schemathesis = pytest.importorskip("schemathesis", reason="needs schemathesis")


def test_the_api_does_as_it_says(tmp_path: Path) -> None:
    served = Served(make_folder(tmp_path / "images", 1))
    schema = schemathesis.openapi.from_url(f"{served.address}openapi.json")
    asked = set()
    for found in schema.get_all_operations():
        operation = found.ok()
        if operation.path in ("/api/events", "/api/export", "/api/survey", "/api/finetune"):  # without end, or slow
            continue
        asked.add(operation.label)

        @settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck), database=None)
        @given(case=operation.as_strategy())
        def fuzz(case: Any) -> None:
            case.call_and_validate()

        fuzz()
    served.close()
    assert len(asked) > 12
