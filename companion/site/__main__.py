"""Make the site: `python -m companion.site`, or `make site`."""

from __future__ import annotations

import sys

from companion.execution import notebooks
from companion.run import root
from companion.scaleout import jobs_allowed
from companion.site import explorers, pages

if __name__ == "__main__":
    build = root() / "build" / "site"
    explorers.draw(explorers.with_explorer(notebooks()), build / "grids", jobs=jobs_allowed())
    sys.exit(pages.build(root(), build / "grids", build, jobs=jobs_allowed()))
