"""What the page about scores draws; that it is written, and of what, is tested with each data set's predictions."""

from types import SimpleNamespace

import pytest

from pixelnet import scorecard


@pytest.mark.parametrize(
    ("source", "split", "labels"),
    [
        ("bsds500:data", "val", ["human, F 0.79 (published)"]),
        ("bsds500:data", "test", ["human, F 0.80 (published)"]),
        ("bsds500:data", "train", []),
        ("folder:data", "val", []),
    ],
)
def test_people_are_marked_where_it_is_published_what_they_reach(monkeypatch, source, split, labels):
    monkeypatch.setattr(scorecard, "_picture", lambda figure, caption: figure)
    curve = {"recall": [0.2, 0.9], "precision": [0.9, 0.3]}
    drawn = scorecard._precision_recall(
        SimpleNamespace(source=source, split=split), None, None, {"curve": curve, "ods": 0.5}
    )
    texts = [text.get_text() for text in drawn[0].axes[0].get_legend().get_texts()]
    assert texts == ["ODS 0.500", *labels]
