"""``python -m patchqueue COMMAND``: what the scripts in ``tools/`` start."""

import sys

from patchqueue import cli

sys.exit(cli.main())
