"""`pixelnet studio` on the command line."""

from dataclasses import dataclass
from pathlib import Path

import tyro


@dataclass(frozen=True)
class Studio:
    """Label a few pixels of your images in a page, and watch the model learn."""

    folder: tyro.conf.Positional[Path]
    """Of the images; what the studio writes goes into FOLDER/studio."""
    host: str = "127.0.0.1"
    """Where to be reached; elsewhere than on this machine with a token in the address."""
    port: int = 8471
    """Where to listen; 0 for any port that is free."""
    device: str = "auto"
    """Where networks see images, and learn: auto for an accelerator where there is one, cpu, cuda, cuda:1, mps."""

    def __call__(self) -> int:
        from pixelnet.studio import studio

        studio(self.folder, self.host, self.port, self.device)
        return 0
