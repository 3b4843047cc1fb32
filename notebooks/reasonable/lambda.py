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
# # λ: what the combined functional can do, and what it cannot
#
# *Reasonable: using spatial features to learn the reasoning in computer vision* (Mametkulov, Artykbayev, Assan,
# Taktarbekova), section II-B, equation 6, and the "unit tests" of section IV-B.
#
# **Claimed.** Q = CE(a(x), y) + λ ‖Class − True‖². With λ = 0 it is the ordinary classifier; the greater λ, the greater
# the penalty; for noise and for classes that were not trained on, the distance grows, and "huge loss will mean that it
# does not belong". Tests on single images "showed, that the selection of λ is highly essential". No value of λ, no
# image, and no number is given.
#
# **Time on two cores.** smoke: seconds; laptop: half a minute after [net_reasoning](net_reasoning.ipynb) and
# [new_data_points](new_data_points.ipynb), whose networks are read back; paper: an hour. The laptop run has a
# seventeenth of the digits and of the steps, at a rate as many times larger.

# %% tags=["parameters"]
profile = "auto"  # smoke, laptop, paper; auto asks the machine
device = "auto"  # cpu, cuda
seed = 0  # the first of the seeds

# %%

import numpy as np
import pandas as pd
import torch
from torch.nn import functional as F

from companion import data, models, plots, reasoning, tables, training, widgets
from companion.reasoning import LAMBDAS, SETS
from companion.run import Run

# %%
run = Run("reasonable/lambda", profile=profile, device=device, seed=seed)
scale = run.scale(
    smoke=dict(images=700, tests=50, epochs=3, rate=5e-4, seeds=2, variant_seeds=1)
    | dict(joint_images=700, joint_epochs=1, joint_seeds=2)
    | dict(fold_images=700, fold_epochs=1, fold_seeds=1, fold_rates=(1e-3,)),
    laptop=dict(images=4_000, tests=300, epochs=10, rate=1.75e-4, seeds=3, variant_seeds=1)
    | dict(joint_images=3_000, joint_epochs=4, joint_seeds=3)
    | dict(fold_images=3_000, fold_epochs=4, fold_seeds=1, fold_rates=(1e-3,)),
    paper=dict(images=70_000, tests=2_000, epochs=10, rate=1e-5, seeds=5, variant_seeds=1)
    | dict(joint_images=70_000, joint_epochs=10, joint_seeds=5)
    | dict(fold_images=70_000, fold_epochs=10, fold_seeds=5, fold_rates=(1e-5, 1e-3)),
)
FAITHFUL, USUAL = scale.rate, 1e-3  # learning rates: the paper's, and the usual one of Adam
CLOTHING = data.clothes() is not None  # Fashion-MNIST is used where the machine has it

# %% [markdown]
# ## Where λ can act
#
# The first term depends on the classifier's weights. The second depends on those of the network that predicts the
# net-reasoning vector ("True" is a stored row of the classifier, which is trained and kept). If the two networks
# are separate, as in the paper, λ multiplies the gradient of the second one and nothing else. And Adam divides a
# gradient by its own running size: what is multiplied by λ is divided by λ again.

# %%
# NBVAL_CHECK_OUTPUT
given = reasoning.digits(0, images=700)
codes = torch.randn(10, 256, generator=torch.Generator().manual_seed(0), dtype=torch.double)[given.train.labels]


def trained(lam):
    """A second network, trained with its distance multiplied by λ, in double precision."""
    net = models.DigitCNN(seed=0, outputs=256, hidden=256).double()
    settings = dict(epochs=1, lr=1e-3, optimizer="adam", eps=1e-30, seed=0, device="cpu")
    training.fit(net, (given.train.inputs, codes), loss=lambda r, t: lam * ((r - t) ** 2).sum(1).mean(), **settings)
    return net(given.test.inputs)


one = trained(1.0)
for lam in (0.01, 100.0, 10_000.0):
    print(f"λ = {lam:g}: as with λ = 1 to nine digits: {torch.allclose(trained(lam), one, rtol=1e-9, atol=1e-9)}")

# %% [markdown]
# In training of separate networks, then, λ does nothing (up to rounding, and Adam's ε). It can matter in a *score* for
# single images, or if the two networks share weights. The score first: no label is known of a new image, so the
# predicted class ŷ stands in for it,
#
# S(x) = −log p(ŷ | x) + λ ‖r(x) − W(ŷ)‖²,
#
# and an image is rejected where S is above what 95 % of validation digits have.

# %% [markdown]
# The pairs of networks are those of [net_reasoning](net_reasoning.ipynb).


# %%
def pair(target, epochs, lr, seed):
    settings = dict(images=scale.images, tests=scale.tests, clothing=CLOTHING)
    return reasoning.paired(target, epochs=epochs, lr=lr, seed=seed, **settings)


# %%
RATES = {FAITHFUL: "as in the paper", USUAL: "10⁻³"}
table = run.sweep(pair, target=["weights"], epochs=[scale.epochs], lr=list(RATES), seed=run.seeds(scale.seeds))
table["rate"] = table["lr"].map(RATES)
usual = table[table.lr == USUAL]
names = [f"{lam:,g}" for lam in LAMBDAS]

# %% [markdown]
# ## Both parts of the score
#
# Left term against right term, image by image, one pair of networks at the usual rate; the line is the border of
# rejection at λ = 10.

# %%
first = usual.iloc[0]
shown = ["uniform", "normal", "negative", "rotated 90", "glyphs", "crops"]


def cloud(name):
    """Both terms of digits and of one set."""
    return pd.concat([
        pd.DataFrame({"cross-entropy": first.parts[SETS.index(one)][0], "distance": first.parts[SETS.index(one)][1],
                      "images": one if one == "digits" else "novelties"})
        for one in ("digits", name)
    ])  # fmt: skip


# %%
def spot(points, *, ax, title):
    figure = plots.scatter(points, "cross-entropy", "distance", hue="images", title=title, ax=ax)
    ax.set(xscale="log", yscale="log", xlim=(1e-7, 10), ylim=(1e-3, 10))
    edge = np.geomspace(1e-7, 10, 200)
    limit = (first.threshold[LAMBDAS.index(10.0)] - edge) / 10
    ax.plot(edge[limit > 0], limit[limit > 0], color="0.4", lw=0.9)
    return figure


figure = plots.panels({name: cloud(name) for name in shown}, spot, xlabel="cross-entropy of the predicted class (nats)",
                      ylabel="squared distance", size=(2.8, 2.3))  # fmt: skip
run.figure(
    "two_parts", figure, caption="Both terms of equation 6 for digits and novelties, rate 1e-3; line: λ = 10.", n=1
)

# %% [markdown]
# Both terms are small where both networks are sure of the same class. They are not the same: there are images that the
# classifier is sure of and the distance rejects (upper left). Those are what λ adds.

# %%
middle = np.stack(usual["medians"]).mean(0)  # (sets, 2); NaN where a machine does not have the set
middle = pd.DataFrame(middle, index=SETS, columns=["cross-entropy", "squared distance"]).dropna()
run.table("medians", middle.rename_axis("set"), caption="Medians of both terms by set, mean over seeds, rate 1e-3.")

# %% [markdown]
# ## λ as a dial
#
# Area under the ROC curve by λ, digits against every set. λ = 0 is the largest probability; for large λ the distance
# alone is left.

# %%
areas = {rate: np.stack(table[table.lr == rate]["auroc"]) for rate in RATES}  # (seeds, λ, NOVELTIES)
found = [place for place in range(len(data.NOVELTIES)) if not np.isnan(areas[USUAL][:, 0, place]).any()]
parts = {name: areas[rate].mean(0).T[found] for rate, name in RATES.items()}
figure = plots.matrices(
    parts, rows=[data.NOVELTIES[place] for place in found], columns=names, share=False, limits=(0, 1), places=2,
    cell=(0.46, 0.27), xlabel="λ", across=2,
)  # fmt: skip
run.figure("auroc", figure, caption="Area under the ROC curve by set and λ at two learning rates, over seeds.")

# %%
JUDGED = [data.NOVELTIES.index(name) for name in data.UNSEEN]  # as in new_data_points
dial = pd.DataFrame([
    {"λ": name, "rate": RATES[rate], "auroc": value}
    for rate in RATES for place, name in enumerate(names) for value in areas[rate][:, place, JUDGED].mean(1)
])  # fmt: skip
figure = plots.strip(dial, "λ", "auroc", hue="rate", ylabel="mean area over nine sets")
run.figure("dial", figure, caption="Mean area under the ROC curve over the nine unseen sets by λ, every seed.")

# %% [markdown]
# The passage lies where the two terms are of one size. Left and right of it λ makes no difference: beyond a certain
# value the choice is not "highly essential", and the best score is near "only the distance" or in between.

# %% [markdown]
# ### Move λ yourself
#
# From the stored scores of one pair of networks: which share of each set is accepted at a threshold of S, by λ.


# %%
def accepted(λ):
    """Share of each set below every threshold; the dashed line is where 95 % of validation digits are accepted."""
    both = {name: first.parts[SETS.index(name)] for name in ("digits", *shown)}
    steps = [
        pd.DataFrame({"S": np.sort(reasoning.pairs.score(one.astype(float), λ)), "set": name}).assign(
            share=lambda part: (np.arange(len(part)) + 1) / len(part)
        )
        for name, one in both.items()
    ]
    figure = plots.curves(pd.concat(steps), "S", "share", hue="set", share=True, log_x=True, ylabel="share below S")
    figure.axes[0].axvline(first.threshold[LAMBDAS.index(λ)], color="0.4", ls="--", lw=1)
    return [figure]


# %%
run.figure("accepted", accepted(10.0)[0], caption="Share of each set below every threshold of S at λ = 10.", n=1)

# %% [markdown]
# Right of the dashed line everything is rejected: a good score has the digits' curve at its top there, and all others
# still at the bottom.

# %%
widgets.explore(accepted, λ=LAMBDAS)

# %% [markdown]
# ## The unit tests
#
# Seventeen single images, each with a verdict that it should get: ten digits to be accepted (the first held-out one of
# each class) and seven images to be rejected.

# %%
probes = reasoning.probes(reasoning.digits(int(first.seed), images=scale.images).test, seed=int(first.seed))
pictures = {"accept": [one.image[0] for one in probes if one.accepted]}
pictures |= {"reject": [one.image[0] for one in probes if not one.accepted]}
captions = {"reject": [one.name for one in probes if not one.accepted]}
figure = plots.images({row: torch.stack(some).clamp(0, 1).numpy() for row, some in pictures.items()}, size=0.72,
                      captions=captions)  # fmt: skip
run.figure("probes", figure, caption="The seventeen single images, and what should become of them.", n=0)


# %%
def passed(row):
    """Which probes (λ, 17) get the verdict that they should."""
    below = np.stack([reasoning.pairs.score(row.probes, lam) <= limit
                      for lam, limit in zip(LAMBDAS, row.threshold, strict=True)])  # fmt: skip
    return below == np.array([one.accepted for one in probes])


results = {rate: np.stack([passed(row) for row in table[table.lr == rate].itertuples()]) for rate in RATES}
figure = plots.matrices(
    {f"rate {name}": results[rate].mean(0).T for rate, name in RATES.items()}, rows=[one.name for one in probes],
    columns=names, cell=(0.42, 0.26), xlabel="λ", across=2,
)  # fmt: skip
run.figure("unit_tests", figure, caption="Share of seeds in which each single-image test is passed, by λ.")

# %% [markdown]
# The upper ten rows cost little: a digit is accepted in nineteen of twenty cases by the choice of the threshold. The
# lower seven are the tests proper. Which of them change their colour from left to right?

# %%
share = pd.DataFrame([
    {"λ": name, "rate": RATES[rate], "passed": value}
    for rate in RATES for place, name in enumerate(names) for value in results[rate].mean(2)[:, place]
])  # fmt: skip
figure = plots.strip(share, "λ", "passed", hue="rate", share=True, ylabel="tests passed")
run.figure("tests_passed", figure, caption="Share of the seventeen tests passed by λ, every seed.")

# %% [markdown]
# ## Noise, and digits that were left out
#
# "The L2 will grow." Distances on uniform noise come from the networks above; those on digits that were not trained on
# from the folds of [new_data_points](new_data_points.ipynb).


# %%
def fold(without, lr, seed):
    return reasoning.left_out(without, lr=lr, seed=seed, epochs=scale.fold_epochs, images=scale.fold_images)


# %%
points = [dict(without=(digit,), lr=lr, seed=one) for lr in scale.fold_rates for digit in range(10)
          for one in run.seeds(scale.fold_seeds)]  # fmt: skip
folds = run.sweep(fold, points)
folds["left out"] = [str(without[0]) for without in folds["without"]]
grown = folds[folds.lr == max(scale.fold_rates)].melt(
    "left out", ["distance", "distance_elsewhere"], "images", "mean squared distance"
)
grown["images"] = grown["images"].map({"distance": "the digit left out", "distance_elsewhere": "the nine others"})
figure = plots.strip(grown, "left out", "mean squared distance", hue="images", width=8.0)
run.figure("left_out", figure, caption="Mean squared distance for unseen and for trained digits, rate 1e-3.", n=10)

# %% [markdown]
# The distance grows for every digit left out. By how much?

# %%
times = folds[folds.lr == max(scale.fold_rates)].eval("distance / distance_elsewhere")
print(f"The mean distance of a digit left out is {times.min():.1f} to {times.max():.1f} times that of the nine others.")

# %% [markdown]
# Whether that is "huge" is a matter of words; single images of both kinds still overlap, as the areas below one in
# [new_data_points](new_data_points.ipynb) say.

# %% [markdown]
# ## λ in training, with a shared trunk
#
# To let λ act in training, classifier and net-reasoning must share weights. Two ways: the stored rows are a fixed
# target of the distance ("detached"), or they are moved by it, too.


# %%
def joint(lam, detached, seed):
    settings = dict(images=scale.joint_images, epochs=scale.joint_epochs, tests=scale.tests)
    return reasoning.joint(lam, detached, lr=1e-3, seed=seed, **settings)


# %%
shared = run.sweep(joint, lam=list(LAMBDAS), detached=[True, False], seed=run.seeds(scale.joint_seeds))
shared["λ"] = shared["lam"].map(dict(zip(LAMBDAS, names, strict=True)))
shared["rows"] = shared["detached"].map({True: "fixed target", False: "moved as well"})
shared["area"] = [np.mean(values[JUDGED]) for values in shared["score"]]
figure = plots.strip(shared, "λ", "accuracy", hue="rows", share=True)
caption = "Accuracy on held-out digits after joint training by λ, every seed."
run.figure("joint_accuracy", figure, caption=caption, n=scale.joint_seeds)

# %%
figure = plots.strip(shared, "λ", "row_norm", hue="rows", ylabel="norm of the rows")
caption = "Norm of the classifier's rows after joint training by λ, every seed."
run.figure("joint_norm", figure, caption=caption, n=scale.joint_seeds)

# %% [markdown]
# With a shared trunk λ matters at last, and mostly by spoiling the classifier: the larger it is, the more the trunk
# serves the distance. Where the rows are moved as well there are cheap ways to a small distance: small rows, or
# the same class for every image, whose row is then all that must be predicted (an accuracy of one in ten says that it
# came to this). Small rows are the only resemblance to ridge regression, which penalises the size of weights; a
# distance of outputs from a target does not.

# %%
kept = ["accuracy", "calibration", "distance", "norm", "row_norm", "area"]
summary = tables.summarise(shared, kept, ["rows", "λ"])
wide = summary.pivot_table(index=["rows", "λ"], columns="quantity", values="mean", sort=False)[kept]
run.table("joint", wide.reset_index(), caption="Joint training by λ: means over seeds; area over the nine unseen sets.")

# %% [markdown]
# ## Is there a reason in it? Two controls
#
# The distance says whether two networks agree on a class. Does it need the stored *rows* for that? Random codes in
# their place hold no reason. Does it need a second network of this kind? Two ordinary classifiers, trained apart, can
# be compared directly: how much does one think of the other's answer?


# %%
def second(lr, seed):
    settings = dict(images=scale.images, epochs=scale.epochs, tests=scale.tests)
    return reasoning.disagreement(lr=lr, seed=seed, **settings)


# %%
seeds = run.seeds(scale.variant_seeds)
random = run.sweep(pair, target=["random codes"], epochs=[scale.epochs], lr=[USUAL], seed=seeds, name="random_codes")
apart = run.sweep(second, lr=[USUAL], seed=seeds)
alone = len(LAMBDAS) - 1  # the largest λ: the distance alone
controls = {
    "one classifier\n(λ = 0)": areas[USUAL][:, 0], "distance\nto rows": areas[USUAL][:, alone],
    "distance to\nrandom codes": np.stack(random["auroc"])[:, alone], "two\nclassifiers": np.stack(apart["auroc"]),
}  # fmt: skip
points = [dict(score=name, area=value) for name, values in controls.items() for value in values[:, JUDGED].mean(1)]
figure = plots.strip(pd.DataFrame(points), "score", "area", ylabel="mean area over nine sets")
run.figure("controls", figure, caption="Mean area under the ROC curve of the distance and of two controls, rate 1e-3.")

# %% [markdown]
# If random codes do as well as the rows, the vector holds no reason, only the class. If two classifiers do as well, the
# score is that of any small ensemble. What is left to the distance where it stands above both is that a regression can
# fall between its targets, which a classifier's probabilities are made not to show.

# %% [markdown]
# ## The claims
#
# Equation 6 is checked against an independent calculation in PyTorch, on a small pair of networks.

# %%
vanilla = models.DigitCNN(seed=1)
reason = models.DigitCNN(seed=2, outputs=256, hidden=256)
code = reasoning.reason_of(vanilla, "weights", seed=0)
some = given.test.inputs[:64]
with torch.no_grad():
    answers, target = vanilla(some), code(data.Images(some, given.test.labels[:64]))
    written = F.cross_entropy(answers, answers.argmax(1), reduction="none")
    written = written + 10 * F.mse_loss(reason(some), target, reduction="none").sum(1)
ours = reasoning.pairs.score(reasoning.pairs.parts(vanilla, reason, code, some), 10.0)
run.claim("reasonable.b.eq6", ours - written.numpy())

# %%
for rate, variant in {FAITHFUL: "faithful", USUAL: "rate 1e-3"}.items():
    part = table[table.lr == rate]
    run.claim("reasonable.b.lambda.penalty", np.stack(part["penalty"]), variant=variant)
    passes = results[rate].mean(2)  # (seeds, λ)
    run.claim("reasonable.b.lambda.essential", np.ptp(passes, axis=1), variant=variant)
    distances = np.stack(part["distances"])[:, [SETS.index("uniform"), SETS.index("digits")]]
    run.claim("reasonable.b.ood.l2", distances, variant=variant)
    gaps = (np.stack(part["auroc"])[:, 0] - np.stack(part["softmax"]))[:, found]  # λ = 0 less the largest probability
    run.claim("reasonable.b.lambda.zero", gaps.mean(1), variant=variant)
    if rate in scale.fold_rates:
        rows = folds[folds.lr == rate].groupby("left out")[["distance", "distance_elsewhere"]].mean()
        run.claim("reasonable.b.ood.l2.unseen", rows.to_numpy(), variant=variant)

# %%
for (rows, norm), variant in {
    ("moved as well", "norm"): "faithful",
    ("moved as well", "row_norm"): "the classifier's rows only",
    ("fixed target", "norm"): "rows detached",
}.items():
    norms = shared[shared.rows == rows].pivot_table(index="seed", columns="lam", values=norm)[list(LAMBDAS)]
    reason = "Judged where the rows may move, which is where small rows make the distance small; see rows detached."
    run.claim("reasonable.b.ridge", norms.div(norms[0.0], axis=0).to_numpy(), variant=variant, reason=reason)

# %%
run.finish()

# %% [markdown]
# ## What to try next
#
# - A λ for every image: reject where *either* term is above its own threshold. Is the area under the curve larger?
# - Three ordinary classifiers instead of two: how many does it take to pass the distance?
# - In `trained`, take `optimizer="sgd"` in place of Adam: what does λ do now?
