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
# # Do cars have eyes? The stories behind the numbers
#
# *Finding Generalizations in Multi-Class Image Classifiers* (C. Richoux), section 4, "Results and discussion".
#
# **Claimed.** Classes of one family share features in the network, so learning one helps the others; classes of
# different families share none and get in each other's way. Frogs help automobiles because headlights look like eyes.
# Such generalisations are found *reliably*. The paper infers all this from its table of t values; here each story is
# asked for evidence of its own.
#
# **Time on two cores.** smoke: seconds; laptop: two to three minutes, and three more where the networks of
# [confused_pairs](confused_pairs.ipynb) are not stored; paper: days (hours in 16 bits).

# %% tags=["parameters"]
profile = "auto"  # smoke, laptop, paper; auto asks the machine
device = "auto"  # cpu, cuda
seed = 0  # the first of the seeds

# %%
import numpy as np
import pandas as pd
from scipy import stats as scipy_stats

from companion import claims, confusion, data, plots
from companion.confusion import CLEAN, PAIRS, inspection, neurons, stacked
from companion.run import Run, root

# %%
run = Run("generalizations/interpretation", profile=profile, device=device, seed=seed)
scale = run.scale(
    smoke=dict(images=300, scored=200, epochs=1, trials=3, looks=1, plain=3, known=200, arithmetic="fp32"),
    laptop=dict(images=1_600, scored=1_000, epochs=3, trials=3, looks=1, plain=8, known=1_600, arithmetic="fp32"),
    paper=dict(images=50_000, scored=10_000, epochs=10, trials=50, looks=5, plain=20, known=5_000, arithmetic="fp32"),
)
CLASSES = data.CIFAR10_CLASSES
NINE = ["airplane.dog", "automobile.frog", "automobile.truck", "bird.dog", "bird.ship", "deer.airplane", "deer.truck"]
NINE += ["frog.airplane", "truck.deer"]
LISTED = [tuple(CLASSES.index(name) for name in row.split(".")) for row in NINE]

# %% [markdown]
# ## What do the networks say instead?
#
# First the networks of the earlier notebooks. For each of the paper's nine rows (target | lost class): how do the
# answers to images of the *target* change when the other class is lost? A target that shares features with the lost
# class should lose answers to whatever those features no longer keep it from.


# %%
def confused(pair, seed, size=64):
    settings = dict(images=scale.images, scored=scale.scored, epochs=scale.epochs, arithmetic=scale.arithmetic)
    return confusion.trials(pair, seed, batch=size, **settings)


# %%
results = run.sweep(confused, pair=PAIRS, seed=run.seeds(scale.trials), batch="seed", chunk=4)


# %%
answer = stacked(results, "answer").mean(1)  # (45, true, answered)
scores = stacked(results, "asked").mean(-2)  # (45, trials, 10)
t, p = confusion.t_maps(scores.mean(1))
off = ~np.eye(10, dtype=bool)


# %%
def change(target, lost):
    """Answers to images of the target where the other class is lost, less those where both were learned."""
    both, only = confusion.learned(target, lost)
    return answer[only, target].mean(0) - answer[both, target].mean(0)


changes = np.array([change(*pair) for pair in LISTED])
figure = plots.matrices(
    {"change of answers": changes}, rows=[row.replace(".", " | ") for row in NINE], columns=CLASSES, diverging=True,
    places=1, cell=(0.55, 0.32), ylabel="images of | lost class", xlabel="answered", unit="points",
)  # fmt: skip
run.figure("answers", figure, caption="Change, in percent points, of what is answered when another class is lost.")

# %% [markdown]
# Look along a row: what the target wins or loses, and to whom. In the column of the lost class itself the change is
# direct: a network that calls half of its dogs something else answers "dog" less often, whatever the image. Only what
# happens in *other* columns could speak of shared features.

# %%
direct = np.array([changes[row, lost] for row, (_, lost) in enumerate(LISTED)])
total = abs(changes).sum(1) / 2
table = pd.DataFrame(
    {"row": NINE, "t": [t[at] for at in LISTED], "answers that moved": total, "to the lost class": direct}
)
run.table("answers", table, caption="Share of answers to the target that moved, and change for the lost class.").round(
    4
)

# %% [markdown]
# ## Are classes of one family alike inside the network?
#
# Networks that learned from true labels, no class confused. The 64 hidden units are averaged over the test images of
# each class; the cosine of two such averages (less the average of all classes) says how alike the network sees the two.


# %%
def first(split, n):
    inputs, labels = data.cifar10(split)
    return data.Images(inputs[:n], labels[:n])


def plain(seed):
    """A network that learned from true labels: how alike its classes are, and what each unit is needed for."""
    net = confusion.taught(CLEAN, [seed], images=scale.images, epochs=scale.epochs, arithmetic=scale.arithmetic)[0]
    unseen = first("test", scale.scored)
    cosines = inspection.class_cosines(inspection.hidden_units(net, unseen.inputs), unseen.labels)
    needed = neurons.knocked_out(net, unseen.inputs, unseen.labels)
    return dict(cosines=cosines.astype(np.float32), needed=needed.astype(np.float32))


# %%
insides = run.sweep(plain, seed=run.seeds(scale.plain))
cosines = np.stack(insides["cosines"]).astype(float)  # (networks, 10, 10)
shown = {"cosine": np.where(off, cosines.mean(0), np.nan)}
figure = plots.matrices(
    shown, rows=CLASSES, columns=range(10), share=False, diverging=True, blocks=[(2, 7)], cell=(0.48, 0.32)
)
run.figure("cosines", figure, caption="How alike the hidden units see two classes; the animals framed.", n=scale.plain)

# %% [markdown]
# A cosine of 1 is "the same direction", −1 the opposite one. Look whether the frame parts the colours, and which class
# of either family is closest to the other one.

# %%
families = confusion.category_contrast(cosines)
print(
    f"Within the families the cosine is higher by {families.mean():.2f} "
    f"(p = {confusion.partition_p(cosines.mean(0)):.3f}"
)
print("against all 210 ways to call four classes vehicles).")

# %% [markdown]
# The families are there: nobody told the network about animals and vehicles. The paper's inference goes a step further:
# where features are shared, learning one class should help the other. Then the 90 t values should rise with the cosine.

# %%
pairs = pd.DataFrame({"cosine": cosines.mean(0)[off], "t": t[off]})
is_vehicle = np.isin(np.arange(10), confusion.VEHICLES)
pairs["pair"] = np.where(is_vehicle[:, None] == is_vehicle, "one family", "two families")[off]
figure = plots.scatter(pairs, "cosine", "t", hue="pair", xlabel="cosine in unconfused networks", ylabel="Welch's t")
run.figure("cosine_and_t", figure, caption="Likeness of two classes inside the network against Welch's t.", n=90)

# %% [markdown]
# The two clouds are the families; the thesis asks for the right one to lie higher, and for a rise within it. How often
# would a map with the same values, but the classes named otherwise, correlate with t as much?

# %%
random = np.random.default_rng(run.first_seed)
own = scipy_stats.spearmanr(pairs["cosine"], pairs["t"]).statistic
relabelled = []
for _ in range(2000):
    order = random.permutation(10)
    relabelled.append(scipy_stats.spearmanr(cosines.mean(0)[np.ix_(order, order)][off], t[off]).statistic)
print(f"Rank correlation {own:+.2f}; as far from zero in", end=" ")
print(f"{(np.abs(relabelled) >= abs(own)).mean():.1%} of 2,000 relabellings of the classes (p, two-sided).")

# %% [markdown]
# ## Which units do two classes need?
#
# The same thesis without t: silence one unit (a channel of the last convolution, or a hidden unit), and see which
# classes are recognised less. If classes of one family use the same units, their losses go together over the units.

# %%
needed = np.stack(insides["needed"]).astype(float)  # (networks, 128, 10)
varied = needed + 1e-9 * random.normal(size=needed.shape)  # a class that no unit matters for correlates with nothing
together = np.stack([np.corrcoef(part.T) for part in varied])  # (networks, 10, 10)
figure = plots.matrices(
    {"correlation": np.where(off, together.mean(0), np.nan)}, rows=CLASSES, columns=range(10), share=False,
    diverging=True, blocks=[(2, 7)], cell=(0.48, 0.32),
)  # fmt: skip
run.figure("needed", figure, caption="Correlation over 128 silenced units of the losses of two classes.", n=scale.plain)

# %% [markdown]
# Mind what accuracy measures: a recognised image is lost *to a competitor*, and won from one. Two classes that share
# units need not lose together; where they are each other's competitors, what silencing a unit takes from one it may
# give to the other, and the correlation is negative. So the sizes of the changes, without their signs, are correlated
# as well: are the units that matter for one class those that matter for the other?

# %%
within = is_vehicle[:, None] == is_vehicle
sizes = np.stack([np.corrcoef(abs(part.T)) for part in varied])
for variant, found in (("faithful", together), ("sizes", sizes)):
    alike = np.stack([found[:, within & off].mean(1), found[:, ~within].mean(1)], axis=1)
    run.claim("generalizations.claim.shared-features", alike, variant=variant)
    print(f"{variant}: within families {alike[:, 0].mean():+.2f}, across {alike[:, 1].mean():+.2f}")

# %% [markdown]
# ## Headlights and eyes
#
# If headlights helped because they look like eyes, then a network that learned frogs should look at a car's *front*
# more than one that did not. The first seventy-two cars of the test set were gone through by eye, before any network
# was asked, and those whose front with its headlights can be seen were marked (`car_fronts.csv` beside this notebook).

# %%
FRONTS = pd.read_csv(root() / "notebooks/generalizations/car_fronts.csv").to_numpy()  # image, left, top, right, bottom
cars = data.cifar10("test").inputs[FRONTS[:, 0]]
pictures = np.kron(cars.permute(0, 2, 3, 1).numpy(), np.ones((1, 4, 4, 1), dtype=np.uint8))
for picture, (_, *box) in zip(pictures, FRONTS, strict=True):
    left, top, right, bottom = (4 * edge for edge in box)
    for rows, columns in ((slice(top, bottom), [left, right - 1]), ([top, bottom - 1], slice(left, right))):
        picture[rows, columns] = (255, 40, 40)

# %%
rows = {f"{first + 1} to {first + 12}": pictures[first : first + 12] for first in range(0, len(pictures), 12)}
run.figure("fronts", plots.images(rows), caption="Cars of the test set with their fronts marked.", n=len(FRONTS))

# %% [markdown]
# A patch of 7×7 pixels is moved over the image, and how much of the probability of *automobile* it takes away is noted.
# The share of that loss that falls into the box says how much of the car-ness sits in the front. One unit trains a
# network on one confused pair and looks at all cars; it also fits *linear probes*, for the next section.


# %%
def looked_into(pair, seed):
    net = confusion.taught(pair, [seed], images=scale.images, epochs=scale.epochs, arithmetic=scale.arithmetic)[0]
    maps = inspection.occlusion(net, data.cifar10("test").inputs[FRONTS[:, 0]], 1)
    known, unseen = first("train", scale.known), first("test", scale.scored)
    seen = [(inspection.hidden_units(net, some.inputs), some.labels) for some in (known, unseen)]
    coarse = maps[:6].reshape(6, 16, 2, 16, 2).mean((2, 4))
    fronts = inspection.share_inside(maps, FRONTS[:, 1:])
    return dict(fronts=fronts.astype(np.float32), probes=inspection.probes(*seen), maps=coarse.astype(np.float32))


# %%
looks = run.sweep(looked_into, pair=PAIRS, seed=run.seeds(scale.looks))
front = np.nanmean(stacked(looks, "fronts"), axis=2)  # (45, looks)
area = np.prod(FRONTS[:, 3:] - FRONTS[:, 1:3], axis=1).mean() / 32**2
both, only = confusion.learned(1, 6)
print(f"The boxes are {area:.0%} of the images; {front[both | only].mean():.0%} of the loss falls into them.")

# %%
MAPS = stacked(looks, "maps").mean(1)  # (45, 6, 16, 16)
sides = {"cars": cars[:6].permute(0, 2, 3, 1).numpy()}
top = MAPS[both | only].mean(0).max((1, 2))[:, None, None]
for name, chosen in (("frog learned", both), ("frog lost", only)):
    sides[name] = np.clip(MAPS[chosen].mean(0) / top, 0, 1)
run.figure("occlusion", plots.images(sides), caption="Where a patch costs the most (white), by what was learned.")

# %%
lost = front[only].mean(1)
partners = [next(c for c in pair if c != 6) for pair, chosen in zip(PAIRS, only, strict=True) if chosen]
learned = np.array([np.mean([front[k].mean() for k in np.flatnonzero(both) if c in PAIRS[k]]) for c in partners])
frogs = pd.DataFrame({"partner": [CLASSES[c] for c in partners], "frog learned": learned, "frog lost": lost})
run.claim("generalizations.claim.frog-eyes", np.stack([learned, lost], axis=1))
run.table("fronts", frogs, caption="Share of the occlusion effect on the front, by the other confused class.").round(3)

# %% [markdown]
# Each line compares networks in which the *same* other class was confused, with frog or with a third class. The story
# needs the first column to be larger throughout. As a control, every lost class in the place of frog:

# %%
others = [c for c in range(10) if c != 1]
gain = {c: front[confusion.learned(1, c)[0]].mean() - front[confusion.learned(1, c)[1]].mean() for c in others}
table = pd.DataFrame({"class": [CLASSES[c] for c in gain], "share gained by learning it": list(gain.values())})
run.table(
    "front_by_class", table.sort_values("share gained by learning it"), caption="The same for every class."
).round(4)

# %% [markdown]
# ## Features, or only the last layer?
#
# A probability can move without any feature having changed: the last layer alone may have learned to give less to one
# name and more to another. So the hidden units are frozen and asked anew: a linear probe, fitted on true labels, tells
# each class from all others, and the ninety tests are made on the probes' area under the ROC curve.

# %%
probe = stacked(looks, "probes")  # (45, looks, 10)
t_probe, p_probe = confusion.t_maps(probe.mean(1))
print(
    f"Mean area under the curve {probe.mean():.3f}. Of 90 tests {(p_probe[off] < 0.05).sum()} are below 5 %;", end=" "
)
print(f"with the t of the scores they correlate at {np.corrcoef(t_probe[off], t[off])[0, 1]:+.2f};")
print(f"within families less across: {confusion.category_contrast(t_probe):+.2f}", end=" ")
print(f"(p = {confusion.partition_p(t_probe):.2f}); nine signs that agree with the paper's:", end=" ")
known = claims.registry("generalizations")
told = np.array([known[f"generalizations.welch.{row}"].reported for row in NINE])
print(sum(np.sign([t_probe[at] for at in LISTED]) == np.sign(told)))

# %%
inside = np.array([[c in pair for c in range(10)] for pair in PAIRS])
left = probe.mean(1)
print(f"A confused class keeps an area of {left[inside].mean():.3f}, an unconfused one has {left[~inside].mean():.3f}:")
print("what the labels no longer say, the features still know in part.")

# %% [markdown]
# ## Reliably?
#
# The whole study again on parts of the trials: how often does a row of the paper come back, significant by itself and
# with the printed sign? Single trials first (45 networks each), then blocks of five where there are enough.


# %%
def returns(block):
    """Which of the nine rows come back in a part of the trials."""
    found, level = confusion.t_maps(scores[:, block].mean(1))
    return [level[at] < 0.05 and np.sign(found[at]) == np.sign(x) for at, x in zip(LISTED, told, strict=True)]


single = np.array([returns([k]) for k in range(scale.trials)])
blocks = np.array([returns(range(k, k + 5)) for k in range(0, scale.trials - 4, 5)]).reshape(-1, 9)
back = pd.DataFrame({"row": NINE, "single trials": single.mean(0)})
back["blocks of 5"] = blocks.mean(0) if len(blocks) else np.nan
run.table("reliability", back, caption="How often each row of the paper is found again in parts of our trials.").round(
    2
)

# %%
significant = [(confusion.t_maps(scores[:, [k]].mean(1))[1][off] < 0.05) for k in range(scale.trials)]
overlap = [(a & b).sum() / max((a | b).sum(), 1) for n, a in enumerate(significant) for b in significant[:n]]
print(f"{np.sum(significant, axis=1).mean():.1f} of 90 tests are significant in a single trial on average;")
print(f"two trials share {np.mean(overlap):.0%} of the rows that either of them finds.")
if len(blocks) > 1:
    run.claim("generalizations.claim.reliable", blocks.mean(1), variant="pairmean")

# %% [markdown]
# Whoever finds nine rows in one study would like to know how many of them another study finds. This is the number that
# "reliably" should be measured by.
#
# ## The claims

# %%
run.finish()

# %% [markdown]
# ## What to try next
#
# - Mark the *wheels* instead of the fronts. Which lost class changes how much networks look at them?
# - Occlude frogs: do networks look at a frog's eyes at all?
# - Take the hidden units of the first trial of each pair as features for the second. Does anything of the confusion
#   survive a new last layer fitted on true labels?
