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
# # The distribution of minima: spin glass beside networks
#
# *Understanding Neural Networks* (C.-C. Jay Kuo), slide "Distribution of Minima of Loss Function", which shows Figure 3
# of Choromanska et al. 2015.
#
# **Claimed.** Two panels, "Spin-Glass" and "CNN", of scaled test losses look alike, and "a link between the above model
# and the CNN parameter optimization can be established"; losses crowd together as the system grows.
#
# **Time on two cores.** smoke: seconds; laptop: a minute; paper: a day and a half, most of it for the thousand networks
# of each size (`SCALE="nets=200 epochs=50"`: four hours). The laptop run has a twentieth of the digits, few epochs,
# a few dozen networks of each size and up to 250 spins: it shows both panels and how spreads go with size, not the
# shapes of the tails.

# %% tags=["parameters"]
profile = "auto"  # smoke, laptop, paper; auto asks the machine
device = "auto"  # cpu, cuda
seed = 0  # the first of the seeds

# %%
import functools

import numpy as np
import pandas as pd
import torch
from scipy import stats as scipy_stats
from torch.nn import functional as F

from companion import claims, data, models, plots, seeds, spinglass, stats, tables, training
from companion.run import Run

# %%
run = Run("understanding/minima", profile=profile, device=device, seed=seed)
REFERENCE = dict(networks=1_000, epochs=200, side=10)  # of the study behind the figure
scale = run.scale(
    smoke=dict(
        images=300, tests=300, epochs=2, nets=6, sizes=(6, 10, 15), usual=4, others=3, widths=(0.25, 0.5), cnns=3,
        cnn_epochs=1, spins=(6, 10, 15), starts=20, bent=5, annealed=6, fresh=10,
    ),
    laptop=dict(
        images=2_500, tests=10_000, epochs=16, nets=32, sizes=(25, 50, 100, 250, 500), usual=16, others=8,
        widths=(0.25, 1, 4), cnns=8, cnn_epochs=8, spins=(25, 50, 100, 250), starts=100, bent=20, annealed=100,
        fresh=100,
    ),
    paper=dict(
        images=60_000, tests=10_000, epochs=REFERENCE["epochs"], nets=REFERENCE["networks"],
        sizes=(25, 50, 100, 250, 500), usual=100, others=50, widths=(0.25, 0.5, 1, 2, 4), cnns=20, cnn_epochs=50,
        spins=(25, 50, 100, 250, 500), starts=1_000, bent=100, annealed=1_000, fresh=500,
    ),
)  # fmt: skip
PRINTED = (25, 50, 100, 250, 500)  # sizes with a reported correlation
CHUNK = 250 if run.device == "cuda" else 25  # networks trained at once; changes no result

# %% [markdown]
# ## What the figure shows
#
# The right panel is labelled "CNN". The networks behind it are fully connected, with one hidden layer, on MNIST
# reduced to 10×10 pixels: 1,000 for each size, 200 epochs. The left panel is the spherical spin glass of
# [spin_glass](spin_glass.ipynb). Learning rate, batch size and activation are not told; here: rectifier, cross-entropy,
# batches of 100, rate 0.1 that falls as 1 / (1 + epoch / 100), and weights that start "in the unit cube", anywhere from
# −1 to 1.


# %%
def digits(split, n, small="means"):
    images, labels = data.mnist(split)
    return data.shrunk(images[:n]) if small == "means" else data.resampled(images[:n]), labels[:n]


def network(hidden, layers, start, seed):
    net = models.MLP((100, *[hidden] * layers, 10), seed=seed)
    return net if start == "standard" else models.uniform_start(net, seed=seed, low=0 if start == "positive" else -1)


# %% [markdown]
# Two losses are measured: the cross-entropy, which is also trained on, and the hinge loss that the theory speaks of.


# %%
def losses(log_probabilities, labels):
    """Mean losses of many networks, and their accuracies."""
    own = log_probabilities.gather(-1, labels.expand(len(log_probabilities), -1)[..., None])
    right = log_probabilities.argmax(-1) == labels
    return {
        "cross-entropy": -own[..., 0].mean(1),
        "hinge": ((1 + log_probabilities - own).clamp(min=0).sum(-1) - 1).mean(1),
        "accuracy": right.double().mean(1),
    }


def hinge(answers, labels):
    return ((1 + answers - answers.gather(1, labels[:, None])).clamp(min=0).sum(1) - 1).mean()


# %% [markdown]
# One unit: networks that differ in their seed. (All of a size are trained at once, as stacked matrices.)


# %%
def nets(hidden, seed, layers=1, start="cube", loss="cross-entropy", small="means"):
    """Train many fully connected networks of one kind."""
    train, test = digits("train", scale.images, small), digits("test", scale.tests, small)

    def measure(replicas):
        return {"test": training.evaluate_many(replicas, *test, reduce=losses)[loss]}

    course = [4**k for k in range(5) if 4**k < scale.epochs]
    replicas, history = training.fit_many(
        lambda one: network(hidden, layers, start, one), *train, seed,
        epochs=scale.epochs, lr=0.1, batch=100, schedule=lambda epoch: 1 / (1 + epoch / 100),
        loss=hinge if loss == "hinge" else F.cross_entropy, measure=measure, measure_at=course,
    )  # fmt: skip
    return ends(replicas, train, test, loss, history[history.epoch.isin(course)]["test"].to_numpy())


# %%
def ends(replicas, train, test, loss, course):
    """One row a network: its losses, and those on the way."""
    found = [training.evaluate_many(replicas, *part, reduce=losses) for part in (train, test)]
    way = course.reshape(len(replicas), -1)
    return [
        dict(train=found[0][loss][k], test=found[1][loss][k], accuracy=found[1]["accuracy"][k], course=way[k])
        for k in range(len(replicas))
    ]


# %%
table = run.sweep(nets, hidden=list(scale.sizes), seed=run.seeds(scale.nets), batch="seed", chunk=CHUNK)
usual = run.sweep(nets, hidden=list(scale.sizes), start=["standard"], seed=run.seeds(scale.usual), batch="seed",
                  chunk=CHUNK, name="usual_start")  # fmt: skip

# %% [markdown]
# The second sweep has the usual start, whose scale goes down as a layer grows, 1 / √(inputs).
#
# Before they are shown, the losses of a size are divided by what the law exp(α nᵝ), fitted to the mean losses, expects
# there; the energies of the glass by the number of spins. The glass as in the public code: one set of couplings, many
# starts.


# %%
def scaled(part):
    """Test losses over those that the law expects, and the law."""
    law = stats.scaling_law(scale.sizes, part.groupby("hidden")["test"].mean()[list(scale.sizes)])
    return part["test"] / law(part["hidden"]), law


laws = {}
for name, part in {"unit cube": table, "usual start": usual}.items():
    part["scaled"], laws[name] = scaled(part)


# %% [markdown]
# For the left panel, descents from many starts on one landscape, as in [spin_glass](spin_glass.ipynb):


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
glass = run.sweep(walks, n=list(scale.spins), tensor=[0], seed=run.first_seed, name="glass")
energies = dict(zip(glass["n"], glass["energy"], strict=True))
groups = dict(list(table.groupby("hidden")))

# %%
left = pd.concat([pd.DataFrame({"spins": n, "energy per spin": one}) for n, one in energies.items()])
right = {f"networks, {name}": part[["hidden", "scaled"]].set_axis(["hidden units", "test loss, scaled"], axis=1)
         for name, part in {"unit cube": table, "usual start": usual}.items()}  # fmt: skip
figure = plots.histograms({"spin glass": left} | right, size=(3.7, 2.7))
told = "Scaled energies of spin glasses (left) and scaled test losses of networks (right), by size."
run.figure("figure3", figure, caption=told, n=scale.nets)

# %% [markdown]
# Two things to compare. *Place*: the glass moves down as it grows, towards the band of a large system; the networks are
# brought to 1 by the division, as far as the law fits. *Width*: does a larger system have a narrower histogram? Look
# for the narrowest in the middle: it need not be that of the largest networks.

# %%
for name, part in {"unit cube": table, "usual start": usual}.items():
    law, means = laws[name], part.groupby("hidden")["scaled"].mean()
    found = ", ".join(f"{mean:.2f} at {n}" for n, mean in means.items())
    print(f"{name}: exp({law.alpha:.2f} n^{law.beta:.3f}); scaled losses are {found}")

# %% [markdown]
# The law can follow losses that fall with size, or that rise. Where they do both, it misses, and the division puts
# histograms beside 1 instead of on it.
#
# ### How wide?


# %%
def relative(values):
    return np.std(values, ddof=1) / abs(np.mean(values))


def widths(samples, **names):
    """Relative spread of each of several samples, with its interval."""
    found = {size: stats.bootstrap(relative, part, resamples=2_000) for size, part in samples.items()}
    return pd.DataFrame([names | dict(size=size, spread=one.mean, low=one.low, high=one.high)
                         for size, one in found.items()])  # fmt: skip


# %%
tests = {n: part["test"].to_numpy() for n, part in groups.items()}
found = {"spin glass": energies, "networks, unit cube": tests,
         "networks, usual start": {n: part["test"] for n, part in usual.groupby("hidden")}}  # fmt: skip
spreads = pd.concat([widths(part, of=name) for name, part in found.items()])
figure = plots.bands(spreads, "size", "spread", hue="of", xlabel="spins, or hidden units", ylabel="sd / mean")
run.figure("spreads", figure, caption="Relative spread of energies and of test losses, by size.", n=scale.nets)

# %%
moments = table.groupby("hidden").agg(
    networks=("test", "size"), accuracy=("accuracy", "mean"), train=("train", "mean"), test=("test", "mean"),
    sd=("test", "std"), spread=("test", relative),
)  # fmt: skip
moments["poor"] = [np.mean(part > 1.1 * np.median(part)) for part in tests.values()]
run.table("networks", moments, caption="Networks by hidden units: accuracy, mean losses, spread, share of poor ones.")

# %% [markdown]
# `poor` is the share of networks that are more than a tenth worse than the middle one. "Poor minima" are said to be a
# matter of small networks.

# %%
course = [4**k for k in range(5) if 4**k < scale.epochs]
way = tables.unroll(table, "course", epoch=course).rename(columns={"course": "loss"})
way = pd.concat([way, table.rename(columns={"test": "loss"}).assign(epoch=scale.epochs)])
over = way.groupby(["hidden", "epoch"])["loss"].agg(relative).reset_index(name="sd / mean")
figure = plots.curves(over, "epoch", "sd / mean", hue="hidden", log_x=True, ylabel="sd / mean of the test loss")
run.figure("course", figure, caption="Spread of the test loss over networks, by epoch and size.", n=scale.nets)

# %% [markdown]
# The spread is not a property of the size alone: it depends on how long one trains, since the differences of the start
# wear off.

# %% [markdown]
# ## Is a lower training loss a lower test loss?
#
# The study behind the figure reports how training and test loss correlate over the networks of a size: the less, the
# larger the networks. Finding the lowest minimum would then matter the less, too.

# %%
figure = plots.scatter(table.rename(columns={"hidden": "hidden units"}), "train", "test", hue="hidden units",
                       xlabel="training loss", ylabel="test loss")  # fmt: skip
run.figure("train_test", figure, caption="Training and test loss of every network.", n=scale.nets)


# %%
def correlation(train, test):
    return np.corrcoef(train, test)[0, 1]


tied = {n: stats.bootstrap(correlation, part["train"], part["test"], paired=True, resamples=2_000)
        for n, part in groups.items()}  # fmt: skip
IDS = {n: f"understanding.ref.corr.{n}" for n in tied}
told = {n: claims.claim(name).reported_internal if n in PRINTED else np.nan for n, name in IDS.items()}
correlations = pd.DataFrame(
    [{"hidden units": n, "correlation": one.mean, "low": one.low, "high": one.high, "reported": told[n]}
     for n, one in tied.items()]
)  # fmt: skip
run.table("correlations", correlations.set_index("hidden units"), caption="Training against test loss over networks.")

# %%
figure = plots.intervals(correlations, "hidden units", "correlation", reported="reported", xlabel="correlation",
                         ylabel="hidden units")  # fmt: skip
run.figure("correlations", figure, caption="Correlation of training and test loss, ours and as reported (red).")

# %% [markdown]
# ## Other starts, losses and pictures
#
# Much of this is not told by the source. What changes with it? Another reading of "unit cube" has all weights between 0
# and 1; the theory speaks of the hinge loss; and digits may be reduced by bilinear interpolation.

# %%
MIDDLE = scale.sizes[2]
KINDS = {"start 0 to 1": dict(start="positive"), "hinge loss": dict(loss="hinge"), "bilinear": dict(small="bilinear")}
points = [dict(hidden=MIDDLE, seed=one) | kind for kind in KINDS.values() for one in run.seeds(scale.others)]
variants = run.sweep(nets, points, batch="seed", chunk=CHUNK, name="variants")
variants["kind"] = np.repeat(list(KINDS), scale.others)

# %%
compared = pd.concat([
    table[table.hidden == MIDDLE].assign(kind="as above"), usual[usual.hidden == MIDDLE].assign(kind="usual start"),
    variants,
])  # fmt: skip
rows = compared.groupby("kind", sort=False).agg(
    networks=("test", "size"), accuracy=("accuracy", "mean"), test=("test", "mean"), spread=("test", relative)
)
rows["correlation"] = [correlation(part["train"], part["test"]) for _, part in compared.groupby("kind", sort=False)]
run.table("variants", rows, caption=f"{MIDDLE} hidden units: accuracy, test loss, its spread (sd / mean), correlation.")

# %% [markdown]
# Compare the spread of the first two rows. The start from the unit cube is so wide that networks still carry it with
# them at the end; from the usual start they come out more alike.

# %% [markdown]
# ## Deeper networks, and the CNN of the label
#
# In the theory, H layers of weights belong to products of H spins: one hidden layer to p = 2, where the glass has no
# band of minima, two hidden layers to p = 3, the glass of the left panel. And the label says CNN: LeNet's scheme at
# 10×10 pixels, from a quarter of its filters to four times as many (trained by Adam, without which the narrow ones
# hardly start).


# %%
def cnns(width, seed):
    """Train small convolutional networks."""
    train, test = digits("train", scale.images), digits("test", scale.tests)
    build = functools.partial(models.SmallLeNet, width=width)
    settings = dict(epochs=scale.cnn_epochs, lr=0.003, optimizer="adam", batch=100)
    replicas, _ = training.fit_many(lambda one: build(seed=one), *train, seed, **settings)
    return ends(replicas, train, test, "cross-entropy", np.empty((len(seed), 0)))


# %%
few = [n for n in scale.sizes if n <= 100]
deeper = run.sweep(nets, hidden=few, layers=[2], start=["cube", "standard"], seed=run.seeds(scale.others),
                   batch="seed", chunk=CHUNK, name="deeper")  # fmt: skip
convolutional = run.sweep(cnns, width=list(scale.widths), seed=run.seeds(scale.cnns), batch="seed", chunk=CHUNK)


# %%
def counted(net):
    return sum(one.numel() for one in net.parameters())


def by_weights(part, layers=1):
    """Test losses by number of weights."""
    if "width" in part:
        return {counted(models.SmallLeNet(seed=0, width=w)): one["test"] for w, one in part.groupby("width")}
    return {counted(network(n, layers, "standard", 0)): one["test"] for n, one in part.groupby("hidden")}


# %%
families = {
    "one hidden layer, unit cube": by_weights(table), "one hidden layer, usual start": by_weights(usual),
    "two hidden layers, unit cube": by_weights(deeper[deeper.start == "cube"], 2),
    "two hidden layers, usual start": by_weights(deeper[deeper.start == "standard"], 2),
    "CNN, usual start": by_weights(convolutional),
}  # fmt: skip
kinds = pd.concat([widths(part, network=name) for name, part in families.items()])
figure = plots.bands(kinds, "size", "spread", hue="network", xlabel="weights", ylabel="sd / mean of the test loss")
run.figure("families", figure, caption="Spread of the test loss against the number of weights.", n=scale.others)

# %%
names = {"size": "weights", "spread": "sd / mean"}
told = "Spread of the test loss by kind of network and number of weights."
run.table("families", kinds.rename(columns=names).set_index("network"), caption=told)

# %% [markdown]
# Follow each line: does it fall all the way? From the unit cube a large network begins far out, with a loss many times
# that of guessing, the more so the wider and the deeper it is, and takes longer to come back; the usual start keeps to
# one scale at every width. The spread also tells of networks that have come differently far, as they have where
# training is short. So where the weights start, and how long one trains, have as much to say as size and kind of layer.

# %% [markdown]
# ## The same shape?
#
# Bring both sides to mean 0 and standard deviation 1, size by size. One set of couplings has its peculiarities, as a
# small one has only a few minima; so here is also the glass with fresh couplings for every start.


# %%
def fresh(n, seed):
    """One descent on each of many landscapes."""
    energies = []
    for one in seed:
        j = spinglass.couplings(n, seed=10**6 + one)
        energies.append(spinglass.descend(j, spinglass.starts(1, n, seed=10**6 + one)).energy.item())
    return [dict(energy=energy) for energy in energies]


# %%
HUGE = 500  # from here on a tenth of the landscapes: half a gigabyte each
points = [dict(n=n, seed=one) for n in scale.spins if n <= scale.fresh
          for one in run.seeds(scale.annealed if n < HUGE else max(1, scale.annealed // 10))]  # fmt: skip
annealed = run.sweep(fresh, points, batch="seed", chunk=25, name="fresh")
anew = {n: part["energy"].to_numpy() for n, part in annealed.groupby("n")}


# %%
def standard(values):
    return (values - np.mean(values)) / np.std(values)


SHARES = np.linspace(0.01, 0.99, 99)
BOTH = [n for n in scale.sizes if n in energies]


def shapes(n):
    """Quantiles of standardised values."""
    parts = {"one glass": energies, "networks": tests, "fresh glasses": anew}
    return pd.concat([
        pd.DataFrame({"of": name, "share": SHARES, "value": np.quantile(standard(part[n]), SHARES)})
        for name, part in parts.items() if n in part
    ])  # fmt: skip


# %%
draw = functools.partial(plots.curves, x="share", y="value", hue="of")
parts = {f"{n} spins or units": shapes(n) for n in BOTH}
figure = plots.panels(parts, draw, across=2, size=(3.0, 2.0), xlabel="share below", ylabel="standard deviations")
run.figure("shapes", figure, caption="Quantiles of standardised energies and test losses.", n=scale.nets)

# %% [markdown]
# A level piece is a minimum that many starts share. How far apart are two such curves? The Kolmogorov-Smirnov distance
# is the widest gap between them, measured sideways. Two samples of one and the same distribution have one too, the
# larger the fewer they are.


# %%
def gap(one, other):
    return scipy_stats.ks_2samp(standard(one), standard(other)).statistic


def chance(one, other, draws=200):
    """The distance expected of two samples, as large as these, of one normal distribution."""
    draw = seeds.numpy_generator(0, "points")
    return np.mean([gap(draw.standard_normal(len(one)), draw.standard_normal(len(other))) for _ in range(draws)])


distances = pd.DataFrame([
    {"size": n, "glass": kind, "distance": gap(part[n], tests[n]), "of one distribution": chance(part[n], tests[n])}
    for kind, part in {"one": energies, "fresh": anew}.items() for n in BOTH if n in part
])  # fmt: skip
run.table("distances", distances, caption="Kolmogorov-Smirnov distance of standardised energies and losses.")

# %% [markdown]
# A distance near its neighbour in the last column means no difference that so many networks could show. And a small
# distance means little: any two histograms with one hump are near one another once place and width are taken off.
# Nor does the order of the spreads mean much: four sizes come in the same order by chance once in 24 times, five once
# in 120.

# %% [markdown]
# ## The claims
#
# `usual start` has weights of the usual scale, `fresh glasses` new couplings for every start.


# %%
def judged(name, one, variant, reason=""):
    run.claim(name, estimate=one.mean, low=one.low, high=one.high, n=one.n, variant=variant, reason=reason)


def falls(*parts):
    return float(stats.slope([relative(part) for part in parts]))


def both_ends(part):
    """What the ends of the row of sizes say: spread and mean of the test losses."""
    sides = {n: part.loc[part.hidden == n, "test"] for n in (min(scale.sizes), max(scale.sizes))}
    told = [f"{n} units: sd/mean {relative(one):.3f}, mean loss {one.mean():.2f}" for n, one in sides.items()]
    return "; ".join(told) + "."


# %%
for variant, part in {"faithful": table, "usual start": usual}.items():
    samples = [part.loc[part.hidden == n, "test"] for n in scale.sizes]
    falling = stats.bootstrap(falls, *samples, resamples=2_000)
    judged("understanding.minima.concentrate", falling, variant, both_ends(part))

# %% [markdown]
# Trained long on few digits, wide networks with weights from the unit cube learn them by heart: their mean test loss
# rises, and its spread rises with it. The reasons below name both ends.


# %%
def mean_gap(*parts):
    half = len(parts) // 2
    gaps = [gap(one, other) for one, other in zip(parts[:half], parts[half:], strict=True)]
    return np.mean(np.nan_to_num(gaps, nan=1.0))  # a resample of one value only has no spread: as far apart as can be


def rank(*parts):
    half = len(parts) // 2
    return scipy_stats.spearmanr([np.std(one) for one in parts[:half]], [np.std(one) for one in parts[half:]])[0]


for variant, part in {"faithful": energies, "fresh glasses": anew}.items():
    common = [n for n in BOTH if n in part]
    both = [*(part[n] for n in common), *(groups[n]["scaled"] for n in common)]
    apart, ranked = (stats.bootstrap(statistic, *both, resamples=1_000, method="percentile")
                     for statistic in (mean_gap, rank))  # fmt: skip
    half = (apart.high - apart.low) / 2  # resamples repeat values, which widens every gap: only their scatter counts
    near = apart._replace(low=max(0, apart.mean - half), high=apart.mean + half)
    judged("understanding.minima.figure", near, variant)
    if variant == "faithful" or len(common) > 3:  # the order of three sizes says next to nothing
        judged("understanding.ssg.link", ranked, variant, f"Networks of {both_ends(table)}")

# %%
for n, one in tied.items():
    if n in PRINTED:
        judged(IDS[n], one, "faithful")
for name, value in REFERENCE.items():
    run.claim(f"understanding.ref.{name}", value)

# %%
run.finish()

# %% [markdown]
# ## What to try next
#
# - `SCALE="nets=100 epochs=50 images=60000"`: an hour or two, and the correlations can be set beside the reported ones.
# - Let the rate of the unit-cube start fall faster, or begin at 0.01: does the spread still rise with the widest?
# - Label the digits at random and train again: does the histogram keep its shape?
