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
# # Forty-five confused pairs
#
# *Finding Generalizations in Multi-Class Image Classifiers* (C. Richoux), section 3, "Approach".
#
# **Claimed.** Take two of the ten classes of CIFAR-10 and give half of the training images of each the other's label.
# A network that learns from these labels confuses the two and is "still somewhat alright" on the other eight. Fifty
# such networks for each of the 45 pairs vary so little that their mean losses can be compared.
#
# **Time on two cores.** smoke: seconds; laptop: about three minutes; paper (2,250 networks and 100 that learn from true
# labels): days, or hours in 16 bits; `SCALE` makes it smaller, and a killed run goes on where it was.

# %% tags=["parameters"]
profile = "auto"  # smoke, laptop, paper; auto asks the machine
device = "auto"  # cpu, cuda
seed = 0  # the first of the seeds

# %%
import numpy as np
import pandas as pd
from scipy import stats as scipy_stats

from companion import confusion, data, plots, stats, widgets
from companion.confusion import CLEAN, PAIRS, stacked
from companion.run import Run

# %%
run = Run("generalizations/confused_pairs", profile=profile, device=device, seed=seed)
TRIALS = 50  # the paper's
scale = run.scale(
    smoke=dict(images=300, scored=200, epochs=1, trials=3, clean=3, batch_trials=2, arithmetic="fp32"),
    laptop=dict(images=1_600, scored=1_000, epochs=3, trials=3, clean=6, batch_trials=2, arithmetic="fp32"),
    paper=dict(images=50_000, scored=10_000, epochs=10, trials=TRIALS, clean=100, batch_trials=20, arithmetic="fp32"),
)
CLASSES = data.CIFAR10_CLASSES
NAMES = [f"{CLASSES[i]}–{CLASSES[j]}" for i, j in PAIRS]

# %% [markdown]
# ## What a confused network is taught
#
# Exactly half of the images of each of the two classes, drawn anew in every trial, get the other's label. The classes
# stay equally large, and the test labels stay true.

# %%
# NBVAL_CHECK_OUTPUT
labels = data.cifar10("train").labels
taught = data.swap_halves(labels, (3, 5), seed=0)
wrong = pd.crosstab(labels, taught).iloc[[3, 5], [3, 5]].set_axis(["cats", "dogs"]).set_axis(["“cat”", "“dog”"], axis=1)
print(len(PAIRS), "pairs;", f"{(taught != labels).sum() / 10_000:.0%} of the two classes are wrong")
wrong

# %%
pictures = data.cifar10("train").inputs.permute(0, 2, 3, 1).numpy()
some = {CLASSES[c]: np.flatnonzero(labels == c)[:6] for c in (3, 5)}
figure = plots.images(
    {name: pictures[places] for name, places in some.items()},
    captions={name: [CLASSES[label] for label in taught[places]] for name, places in some.items()},
)
run.figure("taught", figure, caption="Training images of cats and dogs, and the labels they are taught under.", n=1)

# %% [markdown]
# ## The statistic, with its sign
#
# For every class *c* the paper averages over all test images the logarithm (base 2) of *p(c)* for images of *c*, and of
# 1 − *p(c)* for all others. It calls that an error, but as printed it is never positive and grows as the network gets
# better: a log-*likelihood*, of the question "is it *c* or not?". We call it the **score** S(*c*), and −S(*c*) the
# **loss** L(*c*), in bits per image. Nine tenths of its terms are images of *other* classes.
#
# What should confusion cost? Some reference values for all ten classes equally frequent:

# %%
# NBVAL_CHECK_OUTPUT
log2 = np.log2
print(f"knows nothing, answers 0.1 everywhere:                 {-(0.1 * log2(0.1) + 0.9 * log2(0.9)):.3f} bits")
print(f"knows all, but splits the confused pair evenly:        {-(0.1 * log2(0.5) + 0.1 * log2(0.5)):.3f} bits")
print(f"is right with 0.6, and puts 0.4/9 on each other class: {-(0.1 * log2(0.6) + 0.9 * log2(1 - 0.4 / 9)):.3f} bits")

# %% [markdown]
# So a class that is *perfectly* confused costs 0.2 bits, and one that is merely hard can cost more than that without
# any confusion. "The loss is high" says nothing unless the same class is measured in networks that were **not**
# confused. The paper has none; we train some, with true labels and everything else alike.

# %% [markdown]
# ## The experiment
#
# One unit is one trained network: its pair, its trial. Nothing is shared between two of them: weights, order and
# swapped images are drawn anew. What is kept is three tables of true classes against classes: the mean probability, the
# share of answers, and the mean logarithm that the score is made of.


# %%
def confused(pair, seed, size=64):
    settings = dict(images=scale.images, scored=scale.scored, epochs=scale.epochs, arithmetic=scale.arithmetic)
    return confusion.trials(pair, seed, batch=size, **settings)


# %%
results = run.sweep(confused, pair=PAIRS, seed=run.seeds(scale.trials), batch="seed", chunk=4)
clean = run.sweep(confused, pair=[CLEAN], seed=run.seeds(scale.clean), batch="seed", chunk=4, name="clean")


# %%
answer, probability = stacked(results, "answer"), stacked(results, "probability")  # (45, trials, true, answered)
loss, clean_loss = -stacked(results, "asked").mean(-2), -stacked(clean, "asked", [CLEAN])[0].mean(-2)
accuracy = np.diagonal(answer, axis1=-2, axis2=-1)  # (45, trials, 10)
clean_accuracy = np.diagonal(stacked(clean, "answer", [CLEAN])[0], axis1=-2, axis2=-1)
print(f"{results.shape[0]} confused networks; {len(clean)} that learned from true labels: {clean_accuracy.mean():.1%}")

# %% [markdown]
# ## All pairs, all classes

# %%
own_cells = [(k, c) for k, pair in enumerate(PAIRS) for c in pair]
confused_cell = np.array([[c in pair for c in range(10)] for pair in PAIRS])  # (45, 10)
ALL, UNCONFUSED = "45 pairs", "true labels"
settings = dict(rows=NAMES, columns=CLASSES, framed={ALL: own_cells}, cell=(0.42, 0.175))
figure = plots.matrices({ALL: loss.mean(1)}, share=False, unit="bits per image", **settings)
run.figure(
    "loss", figure, caption="Mean loss of every class (columns) for every confused pair (rows, framed).", n=scale.trials
)

# %%
figure = plots.matrices({ALL: accuracy.mean(1)}, unit="accuracy", **settings)
run.figure(
    "accuracy",
    figure,
    caption="Mean accuracy, in percent, of every class for every confused pair (framed).",
    n=scale.trials,
)

# %% [markdown]
# The framed cells stand out in the accuracies. In the losses, classes differ even where they are not framed: compare a
# framed vehicle with an animal that nobody confused, as the reference values said. So each class is set against itself
# in the unconfused networks:

# %%
excess = loss.mean(1) - clean_loss.mean(0)
figure = plots.matrices({ALL: excess}, share=False, diverging=True, unit="bits more than unconfused", **settings)
run.figure("excess", figure, caption="Mean loss less that of the same class in unconfused networks.", n=scale.trials)

# %%
classes = pd.DataFrame({"class": CLASSES, "unconfused": clean_loss.mean(0)})
classes["confused"] = [loss.mean(1)[confused_cell[:, c], c].mean() for c in range(10)]
classes["others confused"] = [loss.mean(1)[~confused_cell[:, c], c].mean() for c in range(10)]
classes["pairs above unconfused"] = [(excess[confused_cell[:, c], c] > 0).sum() for c in range(10)]
run.table("classes", classes, caption="Mean loss (bits) of each class; in the last column, of its nine pairs.").round(3)

# %%
higher = excess[confused_cell].mean(), (excess[confused_cell] > 0).mean()
print(f"Confusing a class costs it {higher[0]:.3f} bits on average; in {higher[1]:.0%} of the 90 cells it costs any.")
print(f"The other eight lose {excess[~confused_cell].mean():+.3f} bits on average.")
cheap = np.argsort(np.where(confused_cell, excess, np.nan).mean(1, where=confused_cell))
print("Cheapest to confuse:", ", ".join(NAMES[k] for k in cheap[:5]))
print("Dearest:", ", ".join(NAMES[k] for k in cheap[:-6:-1]))

# %% [markdown]
# A pair is cheap to confuse if the networks confuse it anyway. That makes "networks that lost class C" a mixture of
# very different conditions, depending on which partner C was confused with; the next notebook has to take that into
# account.

# %% [markdown]
# ## Are the two losses of a pair equal?
#
# The swap is symmetric, so they might be. But classes differ even without confusion, so the difference between the two
# is set beside the difference of the same two classes in the unconfused networks.

# %%
i, j = np.array(PAIRS).T
gap = abs(loss.mean(1)[np.arange(45), i] - loss.mean(1)[np.arange(45), j])
plain_gap = abs(clean_loss.mean(0)[i] - clean_loss.mean(0)[j])
gaps = pd.DataFrame({"networks": np.repeat(["the pair confused", "not confused"], 45), "gap": [*gap, *plain_gap]})
figure = plots.strip(gaps, "networks", "gap", ylabel="difference of two losses (bits)")
run.figure(
    "gaps", figure, caption="Absolute difference between the mean losses of two classes; a point per pair.", n=45
)

# %% [markdown]
# If confusion made the two equal, the left points would gather near zero. Where they lie no nearer to it than the right
# ones, confusion adds about as much to the one as to the other and leaves their difference as it was: one of the two is
# still told better from the other eight.

# %% [markdown]
# ## What the two are taken for

# %%
to_other = pd.DataFrame({"pair": NAMES})
for name, first, second in (("right", 0, 0), ("swapped", 0, 1)):
    ways = [(pair[first], pair[second], k) for k, pair in enumerate(PAIRS)]
    ways += [(pair[1 - first], pair[1 - second], k) for k, pair in enumerate(PAIRS)]
    shares = np.array([probability[k, :, true, told].mean() for true, told, k in ways])
    to_other[name] = shares.reshape(2, 45).mean(0)
to_other["neither"] = 1 - to_other["right"] - to_other["swapped"]
run.table("blocks", to_other.round(4), caption="Mean probability for images of the pair.").describe().round(3)

# %% [markdown]
# "Right" and "swapped" share what the network believes about an image of the pair; "neither" is what it believes of the
# other eight classes. With exactly half of the labels swapped these say nothing about which of the two it is, so the
# first two can differ by chance only: a pair has become one class with two names.

# %% [markdown]
# ## How small is "extremely small"?
#
# The paper calls the variances within a group (one pair, one class, 50 trials) negligible and compares means from there
# on. Compared with what? With the mean loss they are small. But the question is what class C does to class T, so what
# counts is the spread *between* pairs. For every class, over the 36 pairs that leave it alone: the standard deviation
# over trials, and that of the pairs' true means (the trials' share of the spread of the observed means is taken off).

# %%
within = loss.var(1, ddof=1)  # (45, 10)
spread = pd.DataFrame({"class": CLASSES, "mean": [loss[~confused_cell[:, c], :, c].mean() for c in range(10)]})
spread["within"] = [np.sqrt(within[~confused_cell[:, c], c].mean()) for c in range(10)]
means = [loss.mean(1)[~confused_cell[:, c], c].var(ddof=1) for c in range(10)]
noise = [within[~confused_cell[:, c], c].mean() / scale.trials for c in range(10)]
spread["between"] = np.sqrt(np.clip(np.subtract(means, noise), 0, None))
spread["noise in a mean"] = np.sqrt(noise)
run.table("spread", spread, caption="Standard deviations of the loss (bits) over trials and over pairs.").round(4)

# %%
relative = np.sqrt(within) / loss.mean(1)  # (45, 10)
print(f"Within a group the standard deviation is {relative.mean():.1%} of the mean loss;")
pooled = np.sqrt(within[~confused_cell].mean()), np.sqrt(max(np.mean(np.subtract(means, noise)), 0))
print(f"over all classes: {pooled[0]:.4f} bits within a group, {pooled[1]:.4f} between the pairs' true means.")
print(f"With {scale.trials} trials, noise makes up {np.sum(noise) / np.sum(means):.0%} of the variance", end=" ")
print("of the pairs' observed means" + (": nothing is left for the pairs." if pooled[1] == 0 else "."))

# %% [markdown]
# A test against zero of "what losing C does to T" has to beat both numbers. The trials reduce the first; nothing but
# more pairs, of which there are only 45, reduces the second.
#
# Welch's test also wants distributions that are not too far from normal. All residuals, in units of the standard
# deviation of their class, against the normal quantiles:

# %%
residuals = (loss - loss.mean(1, keepdims=True)) / np.sqrt(within.mean(0)) * np.sqrt(scale.trials / (scale.trials - 1))
found = np.sort(residuals.ravel())
normal = scipy_stats.norm.ppf((np.arange(found.size) + 0.5) / found.size)
parts = {"ours": found, "normal": normal}
quantiles = pd.concat(pd.DataFrame({"residuals": k, "normal": normal, "observed": part}) for k, part in parts.items())
figure = plots.curves(quantiles, "normal", "observed", hue="residuals", xlabel="normal quantile")
run.figure("normality", figure, caption="Residuals of all losses over trials against normal quantiles.", n=found.size)

# %%
p_values = np.array([scipy_stats.shapiro(loss[k, :, c]).pvalue for k in range(45) for c in range(10)])
print(f"Shapiro-Wilk finds {(p_values < 0.05).mean():.1%} of the 450 groups not normal at 5 %;", end=" ")
print(f"{(stats.false_discovery(p_values) < 0.05).sum()} remain after correction for 450 tests.")

# %% [markdown]
# ## Does the batch matter?
#
# The tutorial's 32 against our 64, for pairs within and across the families, same number of epochs.

# %%
SUBSET = [(0, 8), (1, 9), (3, 5), (0, 6), (1, 6), (5, 9)]
few = min(scale.batch_trials, scale.trials)
points = [dict(pair=pair, seed=one, size=32) for pair in SUBSET for one in run.seeds(few)]
small = run.sweep(confused, points, batch="seed", chunk=4, name="batch32")


# %%
def summed_up(table, pairs):
    """Loss of the pair, loss and accuracy of the other eight, for every trial: means over the pairs."""
    losses = -stacked(table, "asked", pairs).mean(-2)
    right = np.diagonal(stacked(table, "answer", pairs), axis1=-2, axis2=-1)
    own = confused_cell[[PAIRS.index(pair) for pair in pairs]][:, None, :] & np.ones_like(losses, bool)
    parts = {"loss of the pair": (losses, own), "loss of others": (losses, ~own), "accuracy of others": (right, ~own)}
    return {name: values.mean((0, 2), where=chosen) for name, (values, chosen) in parts.items()}


# %%
whole = results.query("pair in @SUBSET and seed in @small['seed']")
at_32, at_64 = summed_up(small, SUBSET), summed_up(whole, SUBSET)
batches = [
    dict(quantity=name, at_32=at_32[name].mean(), at_64=at_64[name].mean())
    | stats.paired(at_32[name], at_64[name])._asdict()
    for name in at_32
]
run.table("batches", pd.DataFrame(batches), caption="Batches of 32 and of 64; 95 % intervals over trials.").round(4)

# %% [markdown]
# Half the batch is twice as many steps, so after the same epochs the networks have got further: the comparison is
# between two stages of one training as much as between two batches. What matters here is that what is *relative*, a
# confused class against the others, keeps its size.

# %% [markdown]
# ## An explorer
#
# Choose a pair: what its networks answer to images of the two; how much better (Welch's t of the
# [next notebook](significance.ipynb)) each class is known where one of the two was learned; and some of the images.
# Everything is read from the results above.


# %%
def view(pair):
    k = NAMES.index(pair)
    block = {pair: answer[k].mean(0)[list(PAIRS[k])]}
    rows = [CLASSES[c] for c in PAIRS[k]]
    answers = plots.matrices(block, rows=rows, columns=CLASSES, cell=(0.55, 0.4), unit="answered")
    gains = {"Welch's t": t[:, list(PAIRS[k])].T}
    look = dict(limits=(np.nanmin(t), np.nanmax(t)), diverging=True, share=False, places=1)
    changes = plots.matrices(gains, rows=[f"{row} learned" for row in rows], columns=CLASSES, cell=(0.55, 0.4), **look)
    test = data.cifar10("test")
    shown = {CLASSES[c]: np.flatnonzero(test.labels == c)[:6] for c in PAIRS[k]}
    images = plots.images({name: test.inputs[at].permute(0, 2, 3, 1).numpy() for name, at in shown.items()})
    return answers, changes, images


t, _ = confusion.t_maps(-loss.mean(1))
widgets.explore(view, pair=NAMES)

# %% [markdown]
# ## The claims

# %%
run.claim("generalizations.design.pairs", len(PAIRS))
run.claim("generalizations.design.trials", TRIALS)
run.claim("generalizations.design.models", len(PAIRS) * TRIALS)
run.claim("generalizations.design.swap", float((taught != labels)[(labels == 3) | (labels == 5)].double().mean()))
run.claim("generalizations.design.variance.small", relative.mean(1))

# %% [markdown]
# "Very high loss" is judged trial by trial, the mean over the 90 confused cells against the mean of the same classes
# unconfused; "equal" over the 45 pairs; "still alright" over the trials.

# %%
both = min(scale.trials, scale.clean)
each = np.stack([loss[:, k][confused_cell].mean() for k in range(both)])
run.claim("generalizations.sanity.confused.high", np.stack([each, clean_loss[:both].mean(1)], axis=1))
run.claim("generalizations.sanity.confused.equal", gap)
run.claim(
    "generalizations.sanity.others", np.stack([accuracy[:, k][~confused_cell].mean() for k in range(scale.trials)])
)

# %%
run.finish()

# %% [markdown]
# ## What to try next
#
# - Swap a quarter of the labels instead of half (`companion.data.swap_halves`). When does a network begin to see
#   through the swap, that is, when does "right" rise well above "swapped"?
# - Confuse three classes in a ring. Does each of the three cost more than one of two?
# - Give all images of one class random labels from all ten. Is what the others lose the same?
