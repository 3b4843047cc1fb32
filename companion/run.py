"""A notebook's run: its scale, its sweeps, and what it leaves behind.

Nothing reaches the output folder before `Run.finish`, so a notebook that fails halfway leaves the last good figures.
"""

from __future__ import annotations

import json
import os
import textwrap
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from IPython.display import HTML, Image
from matplotlib.figure import Figure

from companion import claims, pictures, profiles, published, record
from companion.claims import text
from companion.data.images import SHA256
from companion.fingerprint import Scale, dependencies, digest
from companion.scaleout import jobs_allowed
from companion.store import Store
from companion.sweep import Point, Unit, grid, sweep

IMAGES = "companion.data.images"
RESULTS = ("compute", "published")


def root() -> Path:
    """Return the root of the project: COMPANION_ROOT, else the folder that holds the package."""
    return Path(os.environ.get("COMPANION_ROOT") or Path(__file__).parent.parent).resolve()


def _folder(variable: str, default: str) -> Path:
    return Path(os.environ.get(variable) or root() / default)


class Run:
    """One run of one notebook.

    Parameters
    ----------
    section : str
        The notebook as "source/name", for instance "mosaic/averaging_noise".
    profile : str
        "smoke", "laptop", "paper", or "auto": COMPANION_PROFILE, else by the device.
    device : str
        "cpu", "cuda" or "auto".
    seed : int
        First of the seeds that `seeds` hands out.

    Attributes
    ----------
    profile, device : str
        As resolved.
    reduced : bool
        Whether a setting of the profile was overridden.

    Notes
    -----
    Under `make figures` the outputs go to figures/<profile>/<section>. Anywhere else (JupyterLab, a test) they go to
    build/lab, so that playing with a notebook never touches what is committed.
    """

    def __init__(self, section: str, *, profile: str = "auto", device: str = "auto", seed: int = 0) -> None:
        source, _, name = section.partition("/")
        if source not in claims.SOURCES or not name:
            raise ValueError(
                f"a section is written source/name with a source of {', '.join(claims.SOURCES)}, not {section!r}"
            )
        self.section = section
        self.device = profiles.resolve_device(device)
        self.profile = profiles.resolve_profile(profile, self.device)
        self.first_seed = seed
        self.reduced = False
        self.results = os.environ.get("COMPANION_RESULTS") or "compute"
        if self.results not in RESULTS:
            raise ValueError(f"RESULTS is one of {', '.join(RESULTS)}, not {self.results!r}")
        self.folder = _folder("COMPANION_OUTPUT", "build/lab") / self.profile / section
        self._published = root() / "figures" / self.profile / section
        # Published tables are shown with the scale and device that made them.
        self._made = record.read(self._published) if self.results == "published" else {}
        self.device = self._made.get("device", self.device)
        self._parameters = {"profile": profile, "device": device, "seed": seed}
        self._scale = Scale()
        self._seeds = 0
        self._started = time.perf_counter()
        self._sweeps: dict[str, Any] = {}
        self._data: dict[str, Any] = {}
        self._files: dict[str, bytes] = {}
        self._figures: list[dict[str, Any]] = []
        self._tables: list[dict[str, Any]] = []
        self._claims: dict[str, dict[str, Any]] = {}

    def scale(self, **settings: dict[str, Any]) -> Scale:
        """Return the settings of this run's profile, read as attributes.

        Parameters
        ----------
        smoke, laptop, paper : dict
            The same settings for each profile. COMPANION_SCALE ("seeds=1 epochs=100") overrides single ones.

        Raises
        ------
        ValueError
            If a profile is absent, settings differ between profiles, or an override does not fit.
        """
        if set(settings) != set(profiles.PROFILES):
            raise ValueError(f"a scale is given for {', '.join(profiles.PROFILES)}, not for {', '.join(settings)}")
        overrides = os.environ.get("COMPANION_SCALE", "")
        if self._made:  # JSON knows no tuples
            usual = settings[self.profile]
            known = {
                name: tuple(value) if isinstance(usual.get(name), tuple) else value
                for name, value in self._made["scale"].items()
            }
            self._scale, self.reduced = Scale(**known), self._made["reduced"]
        else:
            self._scale, self.reduced = profiles.choose_scale(self.profile, overrides, settings)
        return self._scale

    def seeds(self, n: int) -> list[int]:
        """Return n seeds, beginning with the run's own."""
        self._seeds = max(self._seeds, n)
        return list(range(self.first_seed, self.first_seed + n))

    def sweep(
        self,
        unit: Unit,
        points: Iterable[Point] | None = None,
        *,
        batch: str | None = None,
        chunk: int = 64,
        name: str | None = None,
        **arguments: Any,
    ) -> pd.DataFrame:
        """Return the results of `unit` over every combination of the arguments, as a tidy table.

        Parameters
        ----------
        unit : callable
            See `companion.sweep.sweep`.
        points : iterable of dict, optional
            The settings one by one, where they are no full grid.
        batch : str, optional
            The argument of which the unit takes a list.
        chunk : int
            The most values of `batch` in one call, which is what a killed run can lose. Changes no result.
        name : str, optional
            Name of the published table; the unit's own by default.

        Raises
        ------
        ValueError
            If two sweeps of a notebook have the same name.
        TypeError
            If both `points` and `arguments` are given.
        """
        if points is not None and arguments:
            raise TypeError(f"the sweep is given points and {', '.join(arguments)}; it takes one or the other")
        name = name or unit.__name__
        if name in self._sweeps and self._interactive():
            del self._sweeps[name]  # a cell that is run again
        if name in self._sweeps:
            raise ValueError(f"this notebook has two sweeps called {name!r}; give one of them name=...")
        if self.results == "published":
            table, content = published.read_table(self._published / "results" / f"{name}.parquet")
            self._sweeps[name] = _Published(table, content)
            return table.copy()
        reached = dependencies(unit)
        if IMAGES in reached.modules:
            named = {one.rpartition(".")[2] for one in reached.names}
            self._data |= {data: sums for data, sums in SHA256.items() if data in named or not named & set(SHA256)}
        found = sweep(
            unit,
            list(points) if points is not None else grid(**arguments),
            store=Store(_folder("COMPANION_STORE", "build/store")),
            device=self.device,
            jobs=jobs_allowed(),
            batch=batch,
            chunk=chunk,
            reached=reached,
        )
        self._sweeps[name] = found
        return found.table.copy()

    @property
    def arithmetic(self) -> str:
        """The arithmetic of the units: the setting of that name in the scale, else fp32."""
        return getattr(self._scale, "arithmetic", "fp32")

    @property
    def digest(self) -> str:
        """Digest of all results so far."""
        return digest({name: found.digest for name, found in self._sweeps.items()})

    def figure(self, name: str, figure: Figure, *, caption: str, n: int | None = None) -> Image:
        """Keep a figure under `name` and show it.

        Parameters
        ----------
        caption : str
            What is to be seen, for the report and for readers who cannot see it.
        n : int, optional
            Replicates behind each number; the number of seeds by default.
        """
        n = self._seeds if n is None else int(n)
        line = [
            self.section,
            self.profile,
            *([f"n = {n}"] if n else []),
            f"{self.arithmetic} on {self.device}",
            self.digest[:10],
        ]
        if self.reduced:
            line.insert(2, "reduced: " + " ".join(f"{key}={value}" for key, value in vars(self._scale).items()))
        if self.profile == "smoke":
            line.append("SMOKE RUN: proves only that it runs")
        stamp = " · ".join(line)
        room = int(figure.get_size_inches()[0] * 24)  # characters of this size that fit the figure's width
        red = self.profile == "smoke"
        figure.text(
            1, 0, textwrap.fill(stamp, room), ha="right", va="top", fontsize=6, color="firebrick" if red else "0.55"
        )
        told = {
            "Title": f"{self.section}: {name}",
            "Description": caption,
            "Source": stamp,
            "Comment": json.dumps({"digest": self.digest, "scale": vars(self._scale)}, default=str),
            "Software": "companion",
        }
        picture = pictures.png(figure, told)
        self._files[f"{name}.png"] = picture
        _enter(self._figures, {"file": f"{name}.png", "caption": caption, "n": n})
        return Image(picture, alt=caption)

    def table(self, name: str, table: pd.DataFrame, *, caption: str = "") -> pd.DataFrame:
        """Keep a table under `name` as CSV (six significant digits) and hand it back to be shown."""
        index = table.index.name is not None or not pd.api.types.is_integer_dtype(table.index)
        content = table.to_csv(index=index, float_format="%.6g", lineterminator="\n")
        self._files[f"{name}.csv"] = content.encode()
        _enter(self._tables, {"file": f"{name}.csv", "caption": caption})
        return table

    def claim(
        self,
        identifier: str,
        values: Any = None,
        *,
        variant: str = "faithful",
        reason: str = "",
        estimate: float | None = None,
        low: float | None = None,
        high: float | None = None,
        n: int | None = None,
    ) -> str:
        """Judge a claim by the rule in its row and return the verdict.

        Parameters
        ----------
        identifier : str
            A row of companion/claims.
        values : array, number or str, optional
            One value per seed (shares as shares), as `companion.claims.judge` takes them; or else `estimate`, `low`,
            `high` and `n`: a statistic of the whole study with its interval.
        variant : str
            Which version of the experiment gave the values.
        reason : str
            One sentence: why the claim comes out as it does. It follows why the verdict is open, if it is.

        Raises
        ------
        KeyError, ValueError
            If there is no such row, or a value is NaN or out of the unit's range.
        """
        row = claims.claim(identifier)
        judged = claims.judge(row, values, estimate=estimate, low=low, high=high, n=n)
        judged = claims.gate(judged, row, self.profile, self.reduced)
        entry = self._claims.setdefault(
            identifier,
            {
                "verdict": str(claims.Verdict.NOT_ATTEMPTED),
                "variants": {},
                **{column: getattr(row, column) for column in record.JUDGED_BY},
            },
        )
        entry["variants"][variant] = {
            "verdict": str(judged.verdict),
            "mean": _number(judged.mean),
            "low": _number(judged.low),
            "high": _number(judged.high),
            "n": None if judged.n is None else int(judged.n),
            "p": _number(judged.p),
            "reason": ". ".join(part for part in (judged.reason, reason) if part),
        }
        if variant == row.variant:
            entry["verdict"] = str(judged.verdict)
        return str(judged.verdict)

    def finish(self) -> HTML:
        """Write what changed to the output folder, drop what is no longer made, and show the claims with verdicts."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for name, content in self._files.items():
            path = self.folder / name
            if not path.exists() or path.read_bytes() != content:
                partial = path.with_name(f"{name}.{os.getpid()}.part")
                partial.write_bytes(content)
                partial.replace(path)
        results = {f"{name}.parquet": found for name, found in self._sweeps.items()}
        for name, found in results.items():
            published.write_table(self.folder / "results" / name, found.table, found.digest)
        published.check_size([self.folder / "results" / name for name in results])
        self._drop_leftovers(set(self._files) | {f"results/{name}" for name in results})
        record.write(self.folder, self.record())
        return self.verdicts()

    def record(self) -> dict[str, Any]:
        """Return the record of this run as it stands."""
        return {
            "notebook": self.section,
            "profile": self.profile,
            "parameters": self._parameters | {"profile": self.profile, "device": self.device},
            "scale": json.loads(json.dumps(vars(self._scale), default=list)),
            "reduced": self.reduced,
            "seeds": self._seeds,
            "device": self.device,
            "arithmetic": self.arithmetic,
            "versions": record.versions(),
            "commit": record.commit(root()),
            "data": dict(sorted(self._data.items())),
            "digest": self.digest,
            "compute_seconds": round(sum(found.seconds for found in self._sweeps.values()), 2),
            "seconds": round(time.perf_counter() - self._started, 2),
            "units": {
                "computed": sum(found.computed for found in self._sweeps.values()),
                "read_back": sum(found.read_back for found in self._sweeps.values()),
            },
            "figures": self._figures,
            "tables": self._tables,
            "results": sorted(f"results/{name}.parquet" for name in self._sweeps),
            "claims": dict(sorted(self._claims.items())),
        } | {name: self._made[name] for name in ("data", "compute_seconds", "units") if self._made}

    def verdicts(self) -> HTML:
        """Return the claims judged so far as a table: reported, reproduced with interval and n, verdict."""
        return HTML(text.verdict_table(self._claims))

    def _drop_leftovers(self, kept: set[str]) -> None:
        made = [path for kind in ("*.png", "*.csv", "results/*.parquet") for path in self.folder.glob(kind)]
        for path in made:
            if path.relative_to(self.folder).as_posix() not in kept:
                path.unlink()

    def _interactive(self) -> bool:
        return not os.environ.get("COMPANION_HEADLESS")


class _Published:
    """A sweep read from the published tables: nothing was computed."""

    computed = read_back = 0
    seconds = 0.0

    def __init__(self, table: pd.DataFrame, content: str) -> None:
        self.table, self.digest = table, content


def _enter(entries: list[dict[str, Any]], entry: dict[str, Any]) -> None:
    """Add an entry, in place of an earlier one of the same file."""
    for position, other in enumerate(entries):
        if other["file"] == entry["file"]:
            entries[position] = entry
            return
    entries.append(entry)


def _number(value: Any) -> float | str | None:
    """Return a number as JSON knows it: NaN (no interval) becomes null."""
    if value is None or isinstance(value, str):
        return value
    return None if not np.isfinite(value) else float(f"{float(value):.10g}")
