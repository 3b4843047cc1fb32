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
# # Focus drawn at random: Dirichlet weights
#
# *Attention Model on Mosaic image* (L. N. Pandey and R. Vashisht), section 3.3, Fig. 1, and the authors' notebooks.
#
# **Claimed.** The nine weights of a mosaic are drawn from a Dirichlet distribution whose mean is the fixed focus of
# section 3.2. For a concentration below 1 some background is focused occasionally. The accuracies resemble those with
# fixed focus.
#
# **Time on two cores.** smoke: seconds; laptop: over two minutes; paper: made for a GPU, several hours. At laptop the
# authors' small CNN takes the place of Mini-Inception, on 2,000 of the 10,000 mosaics, for fewer epochs with smaller
# batches and a larger step. It shows which concentrations behave like fixed focus and which do not, and why; levels of
# accuracy are not the authors'.

# %% tags=["parameters"]
profile = "auto"  # smoke, laptop, paper; auto asks the machine
device = "auto"  # cpu, cuda
seed = 0  # the first of the seeds

# %%
import functools
import itertools

import numpy as np
import pandas as pd
import torch

from companion import claims, data, models, plots, widgets
from companion.attention import focus
from companion.run import Run
from companion.tables import summarise, unroll

# %%
run = Run("mosaic/dirichlet_focus", profile=profile, device=device, seed=seed)
scale = run.scale(
    smoke=dict(net="cnn", seeds=1, mosaics=32, tests=8, epochs_cnn=1, epochs_mini=1, batch=16, lr=0.02),
    laptop=dict(net="cnn", seeds=2, mosaics=2000, tests=500, epochs_cnn=10, epochs_mini=0, batch=16, lr=0.02),
    paper=dict(net="mini", seeds=5, mosaics=10_000, tests=5000, epochs_cnn=200, epochs_mini=70, batch=256, lr=0.01),
)

# %% [markdown]
# ## The weights
#
# In D*i* the foreground has concentration α·a*ᵢ* and each background α. The document writes the weight itself as
# a*ᵢ*·α, but the code draws, and then the mean weight of the foreground is a*ᵢ*/(a*ᵢ*+8) = *i*/9, whatever α. The
# weights are drawn once for each mosaic and stay through the training. D9 has weight 1 on the foreground.

# %%
# NBVAL_CHECK_OUTPUT
ALPHAS = (0.01, 0.5, 2, 1e5)
LAWS = (*ALPHAS, focus.FIXED)
D = focus.DATASETS
DRAWN = D[:-1]  # D9 has nothing to draw
factors = pd.Series({f"a{i}": focus.foreground_factor(i) for i in DRAWN}, name="factor")
pd.DataFrame({"factor": factors.round(3), "mean weight": (factors / (factors + 8)).round(3)}).T

# %%
NAMES = {alpha: f"α = {alpha:g}" for alpha in ALPHAS} | {focus.FIXED: "fixed"}
DRAWS = [run.first_seed + k for k in range(5)]  # no network needed, so the same number at every profile
position = torch.randint(9, (focus.HALF,), generator=torch.Generator("cpu").manual_seed(seed), device="cpu")
BINS = np.linspace(0, 1, 11)


# %% [markdown]
# The weight of the foreground in each of 10,000 mosaics, and how it is spread over the tenths from 0 to 1.


# %%
def foreground(i, alpha):
    weights = focus.focus_weights(position, i, alpha=alpha, seed=run.first_seed)
    return weights.gather(1, position[:, None])[:, 0].numpy()


def shares(alpha):
    """One histogram of the foreground's weight for each of D1 to D8."""
    return np.array([np.histogram(foreground(i, alpha), BINS)[0] / focus.HALF for i in DRAWN])


# %%
spans = [f"{low:.1f}–{high:.1f}" for low, high in itertools.pairwise(BINS)]
axes = dict(rows=[f"D{i}" for i in DRAWN], columns=spans, xlabel="weight of the foreground", ylabel="data set")
run.figure(
    "weights",
    plots.matrices({NAMES[a]: shares(a) for a in ALPHAS}, unit="share of mosaics", across=2, **axes),
    caption="Histograms of the foreground's weight, one row for each of D1 to D8 and one panel for each concentration: "
    "percent of 10,000 mosaics in each tenth.",
    n=1,
)

# %% [markdown]
# The mean is the same down each column of panels; the spread is not. At the smallest concentration a mosaic shows its
# foreground wholly or not at all, so D*i* is a mixture of pure foregrounds (a share of *i*/9) and pure backgrounds with
# a label that has nothing to do with them. At the largest every draw is its mean, and D*i* is that of section 3.2.


# %%
def ahead(alpha, i, draw):
    weights = focus.focus_weights(position, i, alpha=alpha, seed=draw)
    return dict(law=NAMES[alpha], D=i, draw=draw, share=focus.background_ahead(weights, position))


# %%
overtaken = pd.DataFrame([ahead(alpha, i, draw) for alpha in ALPHAS for i in DRAWN for draw in DRAWS])
run.figure(
    "background_ahead",
    plots.curves(overtaken, "D", "share", hue="law", share=True, xlabel="D…", ylabel="background ahead"),
    caption="Share of mosaics in which some background has a larger weight than the foreground; mean and 95 % interval "
    "over five draws of 10,000 mosaics.",
    n=len(DRAWS),
)

# %% [markdown]
# "Occasionally" is too mild where the focus is low: in D1 and D2 at a concentration below 1, some background is ahead
# in most mosaics. D1 with equal weights is the limit where foreground and backgrounds are alike: in eight of nine draws
# one of the backgrounds leads, however small the lead.
#
# ## The experiment
#
# As in section 3.2: one unit is one network trained on one D*i*, and tested on D1 to D9 with weights of the same
# concentration, on its own mosaics, on new ones of the same images, and on mosaics of CIFAR-10's test images (which the
# authors do not do). On its own mosaics and D*i* the weights are those of training. The network of D9 is the same at
# every concentration, so it is trained once and tested with all. Fixed focus is the limit of infinite concentration.


# %%
def network(net, alpha, laws, i, own, seed, checkpoint=None):
    """Train a network on D_i and test it on D1 to D9; own: mosaics of its own instead of the shared ones."""
    sets = focus.three_sets(
        *(data.cifar10("train"), data.cifar10("test")),
        **dict(n=scale.mosaics, tests=scale.tests, seed=seed, own=i if own else 0),
    )
    kind, epochs = {
        "cnn": (models.PatchLeNet, scale.epochs_cnn),
        "mini": (models.MiniInception, scale.epochs_mini),
    }[net]
    recipe = dict(epochs=epochs, lr=scale.lr, momentum=0.9, batch=scale.batch, checkpoint=checkpoint)
    about = dict(alpha=alpha, laws=laws, tests=scale.tests, seed=seed)
    return focus.train_and_test(kind(seed=seed, outputs=3), i, sets, **about, **recipe)


# %%
trained = [(alpha, (alpha,), i) for alpha in LAWS for i in DRAWN] + [(focus.FIXED, LAWS, D[-1])]
settings = [
    dict(net=scale.net, alpha=alpha, laws=laws, i=i, own=False, seed=s)
    for s in run.seeds(scale.seeds)
    for alpha, laws, i in trained
]
# %%
results = run.sweep(network, settings)
parts = dict(iter(results.groupby("law")))
accuracies = {law: focus.by_seed(parts[law], "accuracy") for law in LAWS}  # (seeds, 9, 3, 9)
matrix = {law: focus.as_printed(accuracies[law], own=False) for law in LAWS}

# %% [markdown]
# ## Figure 1 again: the training loss
#
# The document shows one panel, at a concentration of 0.5.

# %%
epochs = range(1, len(results["loss"].iloc[0]) + 1)
losses = {}
for law in LAWS:
    by_seed = unroll(parts[law], "loss", epoch=epochs).rename(columns={"i": "D"})
    losses[NAMES[law]] = by_seed.groupby(["D", "epoch"], as_index=False)["loss"].mean()
# %%
line = functools.partial(plots.curves, x="epoch", y="loss", hue="D")
run.figure(
    "losses",
    plots.panels(losses, line, size=(2.8, 2.4), xlabel="epoch", ylabel="training loss (nats)"),
    caption="Training loss against the epoch for networks trained on D1 to D9 (light to dark), one panel for each "
    "concentration and one for fixed focus; means over seeds.",
)

# %% [markdown]
# The order of the curves is that of the focus in every panel, but their spread is not the same. At the smallest
# concentration the loss has a floor: a mosaic without foreground can only be guessed, so a network that learns nothing
# by heart cannot get below (1 − *i*/9) ln 3. The next table sets the last epoch beside it.

# %%
last = [focus.by_seed(parts[ALPHAS[0]], "loss")[:, :, -1].mean(0), [(1 - i / 9) * np.log(3) for i in D]]
floor = pd.DataFrame(last, index=["last epoch", "floor"], columns=[f"D{i}" for i in D])
run.table("floor", floor.round(3), caption="Training loss at concentration 0.01 and its floor without memory, in nats.")

# %% [markdown]
# ## The matrices beside the authors'
#
# Theirs are of Mini-Inception, and have no diagonal.

# %%
section = claims.registry(run.section)
COLUMNS = (*D, 10)
PREFIX = dict(zip(LAWS, ("x.s33.a0.01", "x.s33.a0.5", "x.s33.a2", "x.s33.a1e5", "x.s32.mini10k"), strict=True))


def reported(law):
    """The authors' matrix (9, 10) as shares, NaN where nothing was printed."""
    return np.array([[claims.reported(f"mosaic.{PREFIX[law]}.D{i}.D{j}") for j in COLUMNS] for i in D])


# %%
ours = {NAMES[law]: matrix[law].mean(0) for law in LAWS}
theirs = {NAMES[law]: reported(law) for law in LAWS}

# %%
axes = dict(rows=[f"D{i}" for i in D], columns=[f"D{j}" for j in COLUMNS], ylabel="trained on", xlabel="tested on")
drawn = [NAMES[alpha] for alpha in ALPHAS]
run.figure(
    "matrices",
    plots.matrices({t: ours[t] for t in drawn}, second=theirs, unit="accuracy", across=2, **axes),
    caption="Accuracy in percent of every network (rows) on every data set (columns) of the training mosaics, D10: "
    "pure foregrounds of other mosaics; mean over seeds. The authors' numbers in red below ours.",
)

# %% [markdown]
# The difference, cell by cell:

# %%
apart = {t: ours[t] - theirs[t] for t in drawn}
run.figure(
    "differences",
    plots.matrices(apart, diverging=True, unit="ours minus theirs", across=2, **axes),
    caption="Our accuracy minus the authors', in percent points.",
)

# %% [markdown]
# One cell of theirs falls out of its row at the third concentration: trained on D1 and tested on D5, it lies far below
# both its neighbours, which agree. It may be a slip of the pen.
#
# The four panels are not alike. At the largest concentration a network does best near its own D*i*, as with fixed
# focus; at the smallest all rows but the first few look the same, and grow with the column only.

# %% [markdown]
# The same rows as curves, on all three kinds of mosaics.

# %%
answers = unroll(results, "accuracy", on=focus.TESTS, tested=D).rename(columns={"i": "D"})
means = answers.groupby(["law", "on", "D", "tested"], as_index=False)["accuracy"].mean()
grid = {f"{NAMES[law]}: {on}": means.query("law == @law and on == @on") for law in (0.01, 1e5) for on in focus.TESTS}
line = functools.partial(plots.curves, x="tested", y="accuracy", hue="D", share=True)
run.figure(
    "transfer",
    plots.panels(grid, line, size=(2.7, 2.1), xlabel="tested on D…", ylabel="accuracy"),
    caption="Accuracy on D1 to D9 (across) of networks trained on D1 to D9 (colours), for two concentrations (rows) "
    "and three kinds of mosaics (columns); means over seeds.",
)

# %% [markdown]
# ## The row of D9 can be predicted
#
# At the smallest concentration a mosaic of D*j* is a pure foreground with probability *j*/9 and no foreground
# otherwise. A network that knows its foregrounds is then right on *j*/9 + (1 − *j*/9)/3. For any concentration the like
# can be said with the network's own accuracy at fixed focus: read it as a function of the weight (a third at weight
# 0), and take its mean over the weights drawn.

# %%
WEIGHTS = np.arange(10) / 9


def predicted(law, j, fixed_row):
    """Accuracy on D_j from the accuracies at fixed focus, by the weights that are drawn."""
    weight = foreground(j, law) if j < 9 else np.ones(1)
    return np.interp(weight, WEIGHTS, [1 / 3, *fixed_row]).mean()


# %% [markdown]
# Three rows to compare: what was measured, the mean over fixed focus, and the two-point law.

# %%
nines = {law: accuracies[law][:, -1, 0] for law in LAWS}  # trained on D9, own mosaics: (seeds, 9)
sources = {
    "measured": lambda law, s, j: nines[law][s, j - 1],
    "mean over fixed focus": lambda law, s, j: predicted(law, j, nines[focus.FIXED][s]),
    "j/9 + (1 − j/9)/3": lambda law, s, j: j / 9 + (1 - j / 9) / 3,
}

# %%
row = [
    dict(law=NAMES[law], row=name, j=j, replicate=s, accuracy=float(source(law, s, j)))
    for law in ALPHAS
    for name, source in sources.items()
    for s in range(scale.seeds)
    for j in D
]
row = pd.DataFrame(row)

# %%
line = functools.partial(plots.curves, x="j", y="accuracy", hue="row", share=True)
run.figure(
    "row_of_d9",
    plots.panels(dict(iter(row.groupby("law", sort=False))), line, across=4, xlabel="tested on D…", ylabel="accuracy"),
    caption="Accuracy on D1 to D9 of networks trained on D9 (pure foregrounds): measured, predicted from the same "
    "network's accuracy at fixed focus, and by the two-point law; mean and 95 % interval over seeds.",
)

# %%
told = {"authors": theirs[NAMES[0.01]][-1, :9]}
beside = row.query("law == @NAMES[0.01]").pivot_table(index="row", columns="j", values="accuracy", sort=False)
beside = pd.concat([beside, pd.DataFrame(told, index=pd.Index(D, name="j")).T])
run.table("row_of_d9", (100 * beside).round(1), caption="The row of D9 at concentration 0.01, in percent.")

# %% [markdown]
# The two-point law belongs to the first panel. The authors' row lies on it to a point; ours reaches it as far as the
# network has learnt its foregrounds, and follows the prediction from its own fixed-focus row in any case. With growing
# concentration the law is left and the mean over fixed focus goes on. That mean takes the backgrounds to share the rest
# of the weight evenly, which drawn weights do not: the gap between the two lines is what this matters, and chance.

# %%
wide = row.pivot_table(index="law", columns="row", values="accuracy", aggfunc=list, sort=False)
gap = wide.map(np.array).apply(lambda line: np.abs(line["measured"] - line["mean over fixed focus"]).mean(), axis=1)
print("mean size of the gap, in percent points:", (100 * gap).round(1).to_dict())

# %% [markdown]
# ## Does it resemble fixed focus?
#
# The measure of the registry: the mean absolute difference between the matrix of a concentration and that of fixed
# focus, diagonal left out. Beside it the same from the authors' own matrices. As a yardstick: the fixed-focus matrices
# of two seeds, where there are two.

# %%
off = np.array([[i != j for j in COLUMNS] for i in D])


def distance(one, other):
    return np.abs(one - other)[..., off].mean(-1)


gaps = {alpha: distance(matrix[alpha], matrix[focus.FIXED]) for alpha in ALPHAS}
held_out = {alpha: np.abs(accuracies[alpha] - accuracies[focus.FIXED])[:, :, 2].mean((1, 2)) for alpha in ALPHAS}
# %%
pairs = distance(matrix[focus.FIXED][1:], matrix[focus.FIXED][:-1])
yardstick = f"{100 * pairs.mean():.1f} points" if len(pairs) else "not known from one seed"
print("two seeds at fixed focus:", yardstick)

# %%
table = pd.DataFrame([dict(law=NAMES[alpha], gap=gap) for alpha in ALPHAS for gap in gaps[alpha]])
run.figure(
    "distance",
    plots.strip(table, "law", "gap", share=True, ylabel="mean difference to fixed focus"),
    caption="Mean absolute difference between the transfer matrix of each concentration and that of fixed focus: every "
    "seed, mean and 95 % interval.",
)

# %%
summary = summarise(table, "gap", "law").drop(columns=["sd", "least", "greatest"])
summary["held-out images"] = [held_out[alpha].mean() for alpha in ALPHAS]
summary["authors"] = [distance(theirs[NAMES[alpha]], theirs["fixed"]) for alpha in ALPHAS]
run.table("distance", summary.round(4), caption="The same as shares, and from the authors' own matrices.")

# %% [markdown]
# "Results resemble the fixed-focus ones" is true of the largest concentration, where it must be. At the smaller ones
# the authors' own matrices contradict it. What a focus of *i*/9 is worth hangs on its spread: the same mean can be a
# veil over every image, or a share of images without any foreground.
#
# ## An explorer


# %%
def view(law, test):
    found = accuracies[LAWS[[*NAMES.values()].index(law)]][:, :, focus.TESTS.index(test)].mean(0)
    names = [f"D{i}" for i in D]
    long = unroll(pd.DataFrame({"accuracy": [found]}), "accuracy", D=D, tested=D)
    curve = plots.curves(long, x="tested", y="accuracy", hue="D", share=True, xlabel="tested on D…")
    return plots.matrices({f"{law}, {test}": found}, rows=names, columns=names), curve


widgets.explore(view, law=list(NAMES.values()), test=focus.TESTS)

# %% [markdown]
# ## The claims
#
# First the set-up, and what needs the weights only.

# %%
for number, alpha in enumerate(ALPHAS, 1):
    run.claim(f"mosaic.s33.alphas.{number}", alpha)
for i in DRAWN:
    run.claim(f"mosaic.s33.a.a{i}", focus.foreground_factor(i))
spread = {a: max(np.ptp(foreground(i, a)) for i in DRAWN) for a in ALPHAS}
equal = min(spread, key=spread.get)  # the concentration whose draws are all alike
run.claim("mosaic.d5", equal)
below_one = overtaken.query("law == @NAMES[0.5]").groupby("draw")["share"].mean()
run.claim("mosaic.s33.obs1", below_one.to_numpy())

# %% [markdown]
# The statements are about Mini-Inception (variant "faithful"); another network is entered as a variant of its own.

# %%
variant = "faithful" if scale.net == "mini" else scale.net
run.claim("mosaic.s33.obs2", np.max([gaps[alpha] for alpha in ALPHAS], axis=0), variant=variant)
run.claim("mosaic.d6", np.stack([gaps[alpha] for alpha in ALPHAS], axis=1), variant=variant)
held_out_variant = f"{scale.net}, held-out images"
run.claim("mosaic.s33.obs2", np.max([held_out[alpha] for alpha in ALPHAS], axis=0), variant=held_out_variant)
run.claim("mosaic.d6", np.stack([held_out[alpha] for alpha in ALPHAS], axis=1), variant=held_out_variant)

# %% [markdown]
# The four matrices, cell by cell, are claims about Mini-Inception and are entered where it was trained.

# %%
verdicts = [
    dict(matrix=NAMES[alpha], verdict=run.claim(cell, matrix[alpha][:, i - 1, j - 1]))
    for alpha in (ALPHAS if scale.net == "mini" else ())
    for i in D
    for j in COLUMNS
    if (cell := f"mosaic.{PREFIX[alpha]}.D{i}.D{j}") in section
]
pd.DataFrame(verdicts, columns=["matrix", "verdict"]).value_counts().rename("cells").reset_index()

# %%
run.finish()

# %% [markdown]
# ## What to try next
#
# - Draw the weights anew in every epoch. Does the network of D1 then learn more from its few clear images?
# - Train at one concentration and test at another (`laws` of the unit). Which trains the best network for all?
# - Learn D1 at 0.01 with a loss that may leave examples out. Can it tell the images without foreground?
# - Reduced paper run on two cores: `SCALE="net=cnn mosaics=5000 tests=1000 epochs_cnn=40 batch=32 lr=0.03"`.
