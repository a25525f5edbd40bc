"""A whole new task, the direction of a stripe (0..360 degrees a pixel), written, trained, checked, scored and drawn."""

import numpy as np
import torch
from PIL import Image

import pixelnet
from pixelnet.data.check import check
from pixelnet.tasks import Plot, Scorer


def cosine(logits, labels, weights):
    unit, angle = torch.nn.functional.normalize(logits, dim=1), torch.deg2rad(labels)
    return (weights * (1 - unit[:, 0] * angle.cos() - unit[:, 1] * angle.sin())).sum() / weights.sum()


def count(prediction, truth):
    off = abs((prediction - truth + 180) % 360 - 180)[~np.isnan(truth)]
    return {"errors": np.histogram(off, 36, (0, 180))[0], "sum": np.array(off.sum())}


def scores(counts):
    return {"degrees": float(counts["sum"] / counts["errors"].sum()) if counts["errors"].any() else None}


class Direction(pixelnet.Task):
    name, folder, suffix = "direction", "directions", ".txt"
    outputs, losses, headline, unlabelled = 2, {"cosine": cosine}, ("degrees", False), np.nan

    def labelled(self, labels):
        return labels == labels

    def mirror(self, labels):
        return (180 - labels) % 360

    def with_mirror(self, logits, mirrored):
        return logits + mirrored * mirrored.new_tensor([-1, 1])

    def decode(self, logits, probabilities=False):
        return torch.rad2deg(torch.atan2(logits[..., 1], logits[..., 0])) % 360

    def scorer(self):
        return Scorer(count, scores, {"errors": np.zeros(36), "sum": np.zeros(())}, self.headline)

    def goodness(self, score):
        return 1 - score / 180

    def plots(self, scored):
        return [Plot("Errors", lambda axes: axes.bar(range(36), scored.counts["errors"]))]

    def paint(self, prediction):
        return np.repeat(np.nan_to_num(prediction / 360 * 255).astype(np.uint8)[..., None], 3, axis=2)

    def read(self, path):
        return np.loadtxt(path, dtype=np.float32, ndmin=2)

    def write(self, path, prediction):
        np.savetxt(path, prediction, "%.2f")


def test_a_new_task_does_all_that_others_do_alone_and_jointly(tmp_path):
    data, rng = tmp_path / "data", np.random.default_rng(0)
    for folder in ("images", "directions", "edges"):
        (data / folder).mkdir(parents=True)
    for i in range(4):
        labels = np.where(rng.random((40, 48)) < 0.1, np.nan, rng.uniform(0, 360, (40, 48)))
        np.savetxt(data / f"directions/{i}.txt", labels)
        Image.fromarray(rng.integers(0, 256, (40, 48, 3), dtype=np.uint8)).save(data / f"images/{i}.png")
        Image.fromarray(rng.choice([0, 255], (40, 48)).astype(np.uint8)).save(data / f"edges/{i}.png")
    assert not check(pixelnet.open_dataset(data, Direction())).problems
    options = {"backbone": "test_resnet", "max_steps": 3, "batch_size": 2, "pixels": 50, "num_workers": 0, "crop": None}
    for task, asked in ((Direction(), None), ([Direction(), "edges"], "direction")):
        out = tmp_path / f"run-{asked}"
        pixelnet.train(task, data, out, val_data=data, **options)
        model = pixelnet.load(out, task=task)
        found = pixelnet.evaluate(model, data=data, task=asked, report=out / "page.html")
        assert "Errors" in (out / "page.html").read_text()
        pixelnet.predict_files(model, [data / "images"], out / "answers")
        read = pixelnet.evaluate(predictions=out / "answers/direction", data=data, task=Direction())
        assert abs(read["degrees"] - found["degrees"]) < 0.1
