"""Adaptive dense prediction beside smp's Unet, and how near it comes to the exact one, on a trained model."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn

import pixelnet
from benchmarks.dense import as_tensor, quietly
from benchmarks.networks import NETWORKS, fused, peer
from benchmarks.timing import Row, row
from pixelnet.data import Dataset, open_dataset
from pixelnet.data.dataset import evenly
from pixelnet.errors import InputError
from pixelnet.metrics.confusion import confusion, scores

AGREEMENT, IOU = 0.995, 0.002  # with the exact argmax, and of mean IoU, at most
TIMED = 5  # images a round, evenly spread over the split


def adaptive(run: Path, data: Path, dials: Sequence[float], runs: int) -> list[Row]:
    """The fastest of the dials that keeps the answer, on CamVid val; where none does, the one that comes nearest.

    Raises:
        InputError: a run of another network than those compared, or no such data.
    """
    model = pixelnet.load(run)
    network = model.config.backbone
    if network not in NETWORKS:
        raise InputError(f"{run} has the backbone {network}; give a run with one of {', '.join(NETWORKS)}")
    dataset = open_dataset(f"camvid:{data / 'camvid'}", "segmentation", "val")
    kept = agreements(model, dataset, dials)
    good = [dial for dial in dials if kept[dial]["agreement"] >= AGREEMENT and abs(kept[dial]["miou_change"]) <= IOU]

    images = [dataset.image(index) for index in evenly(len(dataset), TIMED)]
    unet = fused(peer("Unet", network))
    backbone = fused(model.backbone)
    works = {
        f"ours, {dial:g}": lambda dial=dial: [model.predict(image, adaptive=dial) for image in images] for dial in dials
    }
    works["exact"] = lambda: [model.predict(image) for image in images]
    works["Unet"] = lambda: [predict(unet, image, model) for image in images]
    works["backbone"] = lambda: [backbone(as_tensor(image, model)) for image in images]
    seconds = {name: spent / TIMED for name, spent in quietly(works, runs).items()}

    if good:
        best = min(good, key=lambda dial: np.median(seconds[f"ours, {dial:g}"]))
    else:
        best = max(dials, key=lambda dial: kept[dial]["agreement"])
    share, change = kept[best]["agreement"], kept[best]["miou_change"]
    floor = float(np.median(seconds["backbone"] / seconds["Unet"]))
    found = row(
        "adaptive dense prediction / smp Unet's",
        network,
        seconds[f"ours, {best:g}"] / seconds["Unet"],
        "at most",
        1.0,
        floor,
        seconds,
        dials={f"{dial:g}": figures for dial, figures in kept.items()},
        note=f"dial {best:g}: {share:.2%} as the exact prediction, mean IoU {change:+.4f}",
    )
    found["holds"] &= bool(good)
    return [found, row("exact dense prediction / smp Unet's", network, seconds["exact"] / seconds["Unet"])]


def agreements(model: pixelnet.PixelNet, dataset: Dataset, dials: Sequence[float]) -> dict[float, dict[str, float]]:
    """For each dial the share of all pixels answered as by the exact prediction, and what it adds to the mean IoU."""
    classes = model.config.num_classes
    counts = {dial: np.zeros((classes, classes), np.int64) for dial in (None, *dials)}
    same, pixels = dict.fromkeys(dials, 0), 0
    for index in range(len(dataset)):
        image, truth = dataset.image(index), dataset.labels(index)
        exact = model.predict(image)
        pixels += exact.size
        counts[None] += confusion(exact, truth, classes)
        for dial in dials:
            answer = model.predict(image, adaptive=dial)
            same[dial] += int((answer == exact).sum())
            counts[dial] += confusion(answer, truth, classes)
    whole = scores(counts[None])["miou"]
    return {
        dial: {
            "agreement": round(same[dial] / pixels, 5),
            "miou_change": round(scores(counts[dial])["miou"] - whole, 5),
        }
        for dial in dials
    }


def predict(network: nn.Module, image: np.ndarray, model: pixelnet.PixelNet) -> np.ndarray:
    """A peer's labels (H, W) uint8, with what our own predict does besides: conversion, padding, cutting, argmax."""
    height, width = image.shape[:2]
    logits = network((as_tensor(image, model) - model.backbone.mean) / model.backbone.std)
    return logits[0, :, :height, :width].argmax(0).to(torch.uint8).numpy()
