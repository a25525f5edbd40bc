"""nnU-Net's dataset.json, which has the name of ours: its classes, and what it says of no label."""

from typing import Any

from pixelnet.errors import InputError


def is_nnunet(values: dict[str, Any]) -> bool:
    """Whether a dataset.json is nnU-Net's (of its first or second version)."""
    return isinstance(values.get("labels"), dict) and not values.keys().isdisjoint(("numTraining", "file_ending"))


def as_form(values: dict[str, Any], where: str) -> dict[str, Any]:
    """The keys of ours that say the same. Raises InputError for channels in files of their own and for regions."""
    channels = values.get("channel_names", values.get("modality"))
    if isinstance(channels, dict) and len(channels) > 1:
        raise InputError(
            f"{where}: nnU-Net keeps the channels {', '.join(map(str, channels.values()))} in a file each, which is "
            "not read; save them as the channels of one TIFF"
        )
    pairs = [(key, value) if isinstance(value, int) else (value, key) for key, value in values["labels"].items()]
    numbers = {str(name): int(number) for name, number in pairs if str(number).isdecimal()}
    if len(numbers) < len(pairs):
        raise InputError(
            f"{where}: nnU-Net's labels are not one number a class; write a dataset.json of ours in its place"
        )
    unlabelled = [number for name, number in numbers.items() if name == "ignore"]
    classes = [{"name": name, "value": number} for name, number in numbers.items() if name != "ignore"]
    return {"classes": sorted(classes, key=lambda own: own["value"]), "unlabelled": unlabelled}
