# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # The spherical spin glass and its band of minima
#
# *Understanding Neural Networks* (C.-C. Jay Kuo), slides "Spherical Spin Glass (SSG) Model", "Energy Surface of SSG"
# and "Main Result".
#
# **Claimed.** The minima of the energy "depend on the initial state yet form a layered band structure"; the bands are
# bounded below by the global minimum; "the probability of finding them outside the band diminishes exponentially with
# N". Networks are said to be linked to this ([minima](minima.ipynb)). The slides give no number and no simulation.
#
# **Time on two cores.** smoke: seconds; laptop: a minute; paper (up to 500 spins, 20 tensors, 1,000 starts each):
# an hour or two. The laptop run stops at 100 spins, where nearly all minima still lie above the band: it shows how they
# come nearer, not that they arrive.

# %% tags=["parameters"]
profile = "auto"  # smoke, laptop, paper; auto asks the machine
device = "auto"  # cpu, cuda
seed = 0  # the first of the seeds

# %%
import numpy as np
import pandas as pd
import torch
from scipy import stats as scipy_stats

from companion import plots, spinglass, stats, tables
from companion.run import Run

# %%
run = Run("understanding/spin_glass", profile=profile, device=device, seed=seed)
scale = run.scale(
    smoke=dict(sizes=(6, 10, 15), tensors=2, starts=20, annealed=6, bent=5, largest_four=6),
    laptop=dict(sizes=(25, 50, 100), tensors=5, starts=60, annealed=100, bent=20, largest_four=25),
    paper=dict(sizes=(25, 50, 100, 250, 500), tensors=20, starts=1_000, annealed=1_000, bent=100, largest_four=100),
)
HUGE = 500  # from here on a fifth of the tensors and a tenth of the fresh ones: half a gigabyte each

# %% [markdown]
# ## Which model?
#
# The slide describes spins on a lattice that see their nearest neighbours and a field (the spherical model of Berlin
# and Kac). What it then quotes are theorems on another one, in which *all* spins see one another, three at a time, with
# random strengths:
#
# H(σ) = N⁻¹ Σ J(i, j, k) σ(i) σ(j) σ(k),  |σ|² = N,  J independent standard normal.
#
# This is the one simulated here. "Spherical" replaces the constraint of the Ising model, every σ = ±1, by one on their
# sum of squares; then there is a surface to walk on, and downhill is defined.

# %% [markdown]
# ## What theory expects
#
# For a large system the numbers of minima and of saddles at each energy are known. No minimum lies below −E₀ (per
# spin), no saddle of index k below −E_k, and above −E∞ there are no minima, but saddles whose index grows with N. The
# band is what lies between.

# %%
levels = {p: spinglass.levels(p) for p in (2, 3, 4)}
expected = pd.DataFrame(
    {f"−E{index}": [level.lowest[index] for level in levels.values()] for index in range(6)}
    | {"−E∞": [level.top for level in levels.values()]}
).assign(p=list(levels))
expected["depth"] = 1 - expected["−E∞"] / expected["−E0"]
run.table("levels", expected.set_index("p"), caption="Energies per spin of a large system, for products of p spins.")

# %% [markdown]
# Look at the last column. For p = 3 the whole band, with all its layers, is a hundredth or two of the energy deep. For
# p = 2 there is none: a quadratic form has one pair of minima. (In the theory quoted, a network with one hidden layer
# belongs to p = 2, and one with two to p = 3.)

# %%
BOTTOM, TOP = levels[3].lowest[0], levels[3].top
MARGIN = 0.05  # above the top of the band, as in the claims

# %% [markdown]
# ## Walking down
#
# One *tensor* of couplings is one landscape. One unit: a tensor, many starts on the sphere, and where downhill walks
# from them end. The steps are along the gradient on the sphere, each shortened until it does go down.


# %%
def walks(n, tensor, seed, p=3):
    """Descents from many starts on one landscape."""
    precision = torch.double if n**p <= 10**6 else torch.float32
    j = spinglass.couplings(n, p=p, seed=1_000 * seed + tensor, dtype=precision)
    starts = spinglass.starts(scale.starts, n, seed=1_000 * seed + tensor, dtype=precision)
    found = spinglass.descend(j, starts)
    bent = spinglass.curvatures(j, found.points[: scale.bent])[:, 0] if n <= 250 else torch.full((1,), torch.nan)
    return dict(
        energy=found.energy.to(torch.float32), slope=found.slope.max(), steps=found.steps.double().mean(),
        distinct=spinglass.distinct(found.points, p=p), radius=(found.points**2).mean(), bent=bent.min(),
    )  # fmt: skip


# %%
def many(n, share):
    return max(1, scale.tensors // share) if n >= HUGE else scale.tensors


points = [dict(n=n, tensor=tensor, seed=run.first_seed) for n in scale.sizes for tensor in range(many(n, 4))]
table = run.sweep(walks, points, name="quenched")

# %%
summary = table.groupby("n").agg(
    tensors=("tensor", "size"), lowest=("energy", lambda parts: min(part.min() for part in parts)),
    mean=("energy", lambda parts: np.mean([part.mean() for part in parts])),
    sd=("energy", lambda parts: np.mean([part.std() for part in parts])),
    distinct=("distinct", "mean"), steps=("steps", "mean"), slope=("slope", "max"), least_curvature=("bent", "min"),
)  # fmt: skip
run.table("quenched", summary, caption="Where descents end: energies per spin, and how different the ends are.")

# %% [markdown]
# `slope` and `least_curvature` are the check that these are minima: the gradient has gone, and the surface bends
# upwards every way. `distinct` counts different end points among the starts: with few spins there are only a few
# minima, and the same ones are found again and again.

# %%
everything = np.concatenate([*table["energy"], [BOTTOM - 0.05]])
edges = np.linspace(everything.min() - 0.01, everything.max() + 0.01, 61)
middles = (edges[1:] + edges[:-1]) / 2


def densities(parts):
    """Histograms of energies, one for each number of spins, as a tidy table."""
    return pd.concat([
        pd.DataFrame({"energy": middles, "density": np.histogram(values, edges, density=True)[0], "spins": n})
        for n, values in parts.items()
    ])  # fmt: skip


def with_band(figure):
    for ax in figure.axes:
        ax.axvspan(BOTTOM, TOP, color="0.88", zorder=0)
        ax.axvline(TOP + MARGIN, color="0.6", lw=0.8, ls=":")
    return figure


# %%
quenched = {n: np.concatenate(list(part["energy"])) for n, part in table.groupby("n")}
figure = with_band(plots.curves(densities(quenched), "energy", "density", hue="spins", xlabel="energy per spin"))
run.figure(
    "energies",
    figure,
    caption="Energies of minima by number of spins; grey: the band of a large system.",
    n=scale.tensors,
)

# %% [markdown]
# The narrow grey strip is the band; the dotted line lies a margin above it. With more spins the minima move towards
# the strip and crowd together. Few are in it: the theorem speaks of the limit, and what a finite system does on the way
# to it is another matter.

# %% [markdown]
# ### One landscape, or many
#
# Many starts on one landscape (quenched) share its peculiarities. One start on each of many landscapes (annealed) do
# not.


# %%
def fresh(n, seed):
    """One descent on each of many landscapes."""
    energies = []
    for one in seed:
        j = spinglass.couplings(n, seed=10**6 + one)
        energies.append(spinglass.descend(j, spinglass.starts(1, n, seed=10**6 + one)).energy.item())
    return [dict(energy=energy) for energy in energies]


# %%
points = [dict(n=n, seed=one) for n in scale.sizes
          for one in run.seeds(scale.annealed if n < HUGE else max(1, scale.annealed // 10))]  # fmt: skip
annealed = run.sweep(fresh, points, batch="seed", chunk=25, name="annealed")

# %%
small = min(scale.sizes)
one = table[table.n == small].iloc[0]["energy"]
several = annealed[annealed.n == small]["energy"].clip(*edges[[0, -1]])
compared = {"one landscape": one, "fresh landscapes": several}
figure = plots.curves(
    densities(compared).rename(columns={"spins": "starts on"}), "energy", "density", hue="starts on",
    xlabel="energy per spin", title=f"{small} spins",
)  # fmt: skip
run.figure("one_or_many", figure, caption="Energies of minima of one small landscape, and of one minimum each of many.")

# %% [markdown]
# The spikes of the one landscape are its few minima, each with its own share of the starts. A histogram like the one in
# the slides' figure needs many landscapes, or many spins.

# %% [markdown]
# ## How fast do they come to the band?

# %%
per_tensor = pd.DataFrame(
    {
        "spins": table["n"],
        "tensor": table["tensor"],
        "gap": [part.mean() - TOP for part in table["energy"]],
        "sd": [part.std() for part in table["energy"]],
        "skewness": [scipy_stats.skew(part) for part in table["energy"]],
        "lowest": [part.min() for part in table["energy"]],
    }
)
moments = tables.summarise(per_tensor, ["gap", "sd", "skewness", "lowest"], "spins")
run.table("moments", moments, caption="Mean above the top of the band, spread, skewness, lowest: over tensors.")

# %%
fits = {name: stats.power_law(part["spins"], part["mean"]) for name, part in moments.groupby("quantity")
        if name in ("gap", "sd") and (part["mean"] > 0).all()}  # fmt: skip
parts = pd.concat([per_tensor.rename(columns={name: "value"}).assign(of=told)
                   for name, told in (("gap", "mean above the band"), ("sd", "spread"))])  # fmt: skip
figure = plots.curves(parts, "spins", "value", hue="of", log=True, log_x=True, xlabel="spins", ylabel="energy per spin")
run.figure(
    "scaling",
    figure,
    caption="How mean (above the band's top) and spread of the minima fall with spins.",
    n=scale.tensors,
)

# %%
for name, fit in fits.items():
    print(f"{name}: falls as N^({fit.exponent:.2f}), 95 % interval {fit.low:.2f} to {fit.high:.2f}, {fit.n} sizes")

# %% [markdown]
# Straight lines here are power laws. Both fall: the minima come nearer to the band, and nearer to one another.
#
# The claim is sharper: *outside* the band there should be exponentially few, the share falling by the same factor with
# every so many spins.

# %%
MARGINS = [0.02, 0.05, 0.1]
outside = pd.DataFrame([
    {"spins": row.n, "tensor": row.tensor, "margin": margin, "outside": np.mean(row.energy > TOP + margin)}
    for row in table.itertuples() for margin in MARGINS
])  # fmt: skip
figure = plots.curves(outside, "spins", "outside", hue="margin", share=True, ylabel="share above the band")
run.figure(
    "outside",
    figure,
    caption="Share of minima more than a margin above the band's top, by number of spins.",
    n=scale.tensors,
)

# %% [markdown]
# Follow the curve of each margin. As long as it is near the top there is nothing to fit; where it falls, more sizes
# would have to decide between an exponential and a slower law.

# %% [markdown]
# ## Does another way down end lower?
#
# Two comparisons on the same landscapes: cooling slowly from a temperature (simulated annealing), and stochastic steps
# that follow one part of the couplings at a time, as in the code behind the slides' figure.


# %%
def ways(n, tensor, seed):
    """Mean energies of three ways down on one landscape."""
    place, count = 1_000 * seed + tensor, min(scale.starts, 100)
    starts = spinglass.starts(count, n, seed=place)
    j, wandered = spinglass.wander(starts, seed=10_000 + place)
    cooled = spinglass.anneal(j, starts, seed=place, sweeps=1_000)
    ends = {"downhill": starts, "stochastic steps": wandered, "annealing": cooled}
    return {name: spinglass.descend(j, points).energy.mean().item() for name, points in ends.items()}


# %%
middle = [n for n in scale.sizes if n <= 100]
found = run.sweep(ways, n=middle, tensor=range(scale.tensors), seed=run.seeds(1))
long = found.melt(["n", "tensor"], ["downhill", "stochastic steps", "annealing"], "way", "energy")
figure = plots.strip(long, "n", "energy", hue="way", xlabel="spins", ylabel="mean energy of minima")
run.figure(
    "ways",
    figure,
    caption="Mean energy of the minima found by three ways down, one point a landscape.",
    n=scale.tensors,
)

# %% [markdown]
# Annealing finds lower minima than walking straight down; stochastic steps should hardly matter, since their noise dies
# with the step. So "where minima are found" is a property of the search as much as of the surface.

# %% [markdown]
# ## Products of two and of four
#
# p = 2 has no band, p = 4 a deeper one (its couplings fit the memory up to about a hundred spins).

# %%
others = [dict(n=n, tensor=tensor, seed=run.first_seed, p=p) for p, n in ((2, max(middle)), (4, scale.largest_four))
          for tensor in range(min(scale.tensors, 3))]  # fmt: skip
controls = run.sweep(walks, others, name="controls")
controls["of large systems"] = [f"{levels[p].lowest[0]:.3f} to {levels[p].top:.3f}" for p in controls["p"]]
controls["mean"] = [part.mean() for part in controls["energy"]]
controls["sd"] = [part.std() for part in controls["energy"]]
columns = ["p", "n", "tensor", "distinct", "mean", "sd", "of large systems"]
run.table("controls", controls[columns], caption="Two and four spins in a product: minima found, and their energies.")

# %% [markdown]
# With p = 2 every start ends in the same pair of points: `distinct` is 1, whatever the landscape.

# %% [markdown]
# ## The claims
#
# `band` and `decay` need 500 spins.

# %%
run.claim("understanding.ssg.ising", "1 or -1")
run.claim("understanding.ssg.local", "nearest neighbours and a field")
run.claim("understanding.ssg.sphere", table["radius"])
largest = table[table.n == max(scale.sizes)]
run.claim("understanding.ssg.band", [np.mean((part >= BOTTOM) & (part <= TOP + MARGIN)) for part in largest["energy"]])
run.claim("understanding.ssg.bound", largest.energy.map(np.min), reason="At finite size; the level is that of a limit.")

# %%
common = sorted(set.intersection(*(set(part["tensor"]) for _, part in table.groupby("n"))))
rows = outside[(outside.margin == MARGIN) & outside.tensor.isin(common)]
run.claim("understanding.ssg.decay", rows.pivot_table(index="tensor", columns="spins", values="outside").to_numpy())
spreads = per_tensor[per_tensor.tensor.isin(common)].pivot_table(index="tensor", columns="spins", values="sd")
run.claim("understanding.minima.concentrate.glass", spreads.to_numpy())

# %%
run.finish()

# %% [markdown]
# ## What to try next
#
# - `SCALE="sizes=25,50,100,250"` on the laptop profile: does the curve of the smallest margin begin to fall?
# - Anneal more slowly (`sweeps=10_000`): how near to −E₀ does one come with 50 spins?
# - Start from the minimum of one landscape on another that differs by a few couplings: is it still near a minimum?
