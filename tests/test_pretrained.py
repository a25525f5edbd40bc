"""Weights that are asked for where there is no network."""

import os
import subprocess
import sys

import pytest

from pixelnet import InputError
from pixelnet.nn import pretrained
from pixelnet.nn.networks import make_backbone


def test_without_a_network_it_fails_in_seconds_with_one_line() -> None:
    code = (
        "import time\nfrom pixelnet import InputError, PixelNet\nstart = time.monotonic()\n"
        "try: PixelNet('edges', backbone='tf_efficientnet_lite0', pretrained=True)\n"
        "except InputError as error: print(error)\n"
        "print(time.monotonic() - start)"
    )
    environment = {**os.environ, "HF_ENDPOINT": "http://127.0.0.1:9", "HF_HOME": "nowhere"}
    environment.pop("HF_HUB_OFFLINE", None)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=300)
    assert done.stdout.startswith("--pretrained: the weights of tf_efficientnet_lite0 could not be fetched ("), done
    assert "--backbone-weights FILE" in done.stdout
    message, seconds = done.stdout.splitlines()
    assert "--init-from" in message
    assert float(seconds) < 40  # on a busy machine; the library waits for a minute between its tries


def test_the_setting_is_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pretrained, "_reachable", lambda: False)
    monkeypatch.setattr(pretrained.constants, "HF_HUB_OFFLINE", False)

    def ask() -> None:
        assert pretrained.constants.HF_HUB_OFFLINE
        raise ConnectionError("cut")

    with pytest.raises(InputError, match="of x could not be fetched"), pretrained.from_hub("x"):
        ask()
    assert not pretrained.constants.HF_HUB_OFFLINE


@pytest.mark.parametrize("name", ["coat_lite_tiny", "halonet26t"])
def test_a_network_of_one_size_is_refused_when_it_is_made(name: str) -> None:
    with pytest.raises(InputError, match=f"{name} does not take images of any size"):
        make_backbone(name)
