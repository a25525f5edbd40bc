"""`python -m pixelnet`, the same as the command `pixelnet`."""

import sys

from pixelnet.cli import main

sys.exit(main())
