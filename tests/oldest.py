"""Print the oldest version of every package that pyproject.toml asks for, as pip pins (see `make oldest`)."""

import re
import tomllib
from pathlib import Path

PROJECT = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())["project"]


def pins() -> list[str]:
    """Return `name[extras]==lower bound` for the package's own requirements and those of all its extras."""
    asked = [*PROJECT["dependencies"], *(one for some in PROJECT["optional-dependencies"].values() for one in some)]
    return [re.sub(r">=([0-9.]+).*", r"==\1", one) for one in asked]


if __name__ == "__main__":
    print("\n".join(pins()))
