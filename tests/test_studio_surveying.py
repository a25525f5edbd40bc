"""Surveys of the studio: what fails leaves nothing behind."""

import time
from pathlib import Path

import pytest
from studio_folder import Page, client_of, make_folder

from pixelnet import InputError
from pixelnet.studio import surveying


def test_a_survey_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make_folder(tmp_path / "images")

    def fail(*_: object, **__: object) -> None:
        raise InputError("the disk is full")

    monkeypatch.setattr(surveying, "plan", fail)
    with client_of(folder) as client:
        page: Page = Page(client)
        for k, name in enumerate(("dark", "light")):
            page.add_class(name)
            page.paint(0, k, [[10 * k + 2, 5], [10 * k + 7, 50]], 1.5)
        page.post("survey", budget=20)
        while page.get("project")["survey"]["running"]:
            time.sleep(0.05)
        assert page.get("project")["survey"]["words"] == "the disk is full"
        assert not list((folder / "studio").glob("survey-*"))
