"""Checkpoints of long trainings: written atomically; one that is damaged all the same is an error."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import torch


class Checkpoint:
    """The last saved state of one training.

    Parameters
    ----------
    path : path or None
        Where the state is kept; None keeps nothing, so that callers need no second path through their code.
    every : float
        Seconds that must pass between two saves.
    """

    def __init__(self, path: str | Path | None, *, every: float = 60.0) -> None:
        self.path = None if path is None else Path(path)
        self.every = every
        self._saved_at = time.monotonic()

    def load(self) -> dict[str, Any] | None:
        """Return the saved state, or None if there is none."""
        if self.path is None or not self.path.exists():
            return None
        return torch.load(self.path, map_location="cpu", weights_only=False)

    def save(self, state: dict[str, Any]) -> None:
        """Keep `state` if enough time has passed since the last save."""
        if self.path is None or time.monotonic() - self._saved_at < self.every:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        partial = self.path.with_name(f"{self.path.name}.{os.getpid()}.part")
        try:
            torch.save(state, partial)
            partial.replace(self.path)
        finally:
            partial.unlink(missing_ok=True)
        self._saved_at = time.monotonic()
