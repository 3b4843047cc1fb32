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
# # Mosaics of points in the plane
#
# *Attention Model on Mosaic image* (L. N. Pandey and R. Vashisht), section 6, Tables 8 and 9, Figure 3, and the
# authors' readmes.
#
# **Claimed.** Where mosaics are not linearly separable, networks need attention; where they are, they do not. Already
# for three points in the plane (six numbers) a deep attention network beats a linear one and a deep network without
# attention.
#
# **Time on two cores.** smoke: seconds; laptop (5 seeds): about two minutes; paper (30 seeds): an hour and a half. The
# laptop run computes in single precision, trains the networks of Figure 3 on a third of the mosaics for 150 epochs (the
# authors: 200 for linear attention, 700 for the deep networks), and stops the solver of the linear machine early; the
# data types of Tables 8 and 9 are run in full. It shows all effects below.

# %% tags=["parameters"]
profile = "auto"  # smoke, laptop, paper; auto asks the machine
device = "auto"  # cpu, cuda
seed = 0  # the first of the seeds

# %%
import functools
from collections import Counter

import numpy as np
import pandas as pd
import torch
from IPython.display import Markdown
from scipy.stats import norm

from companion import claims, models, plots, training, widgets
from companion.attention import planar
from companion.data.planar import PLANAR_TYPES, clouds, draw_points, fixed_focus, hypercube_points, random_clouds
from companion.data.planar import window as frame_of
from companion.run import Run
from companion.tables import summarise, unroll

# %%
run = Run("mosaic/planar_mosaics", profile=profile, device=device, seed=seed)

# %%
scale = run.scale(
    smoke=dict(mosaics=250, longest=5, three=250, epochs=2, more=1, steps=9, few_steps=9, seeds=1, arithmetic="fp32"),
    laptop=dict(
        mosaics=3000, longest=164, three=1000, epochs=150, more=10, steps=40_000, few_steps=4000, seeds=5,
        arithmetic="fp32",
    ),
    paper=dict(
        mosaics=3000, longest=164, three=3000, epochs=700, more=30, steps=200_000, few_steps=200_000, seeds=30,
        arithmetic="fp64",
    ),
)  # fmt: skip

# %% [markdown]
# ## Five data types
#
# Ten classes of points, round Gaussians about their means; classes 0 to 2 are foreground. In Table 9 the types are
# pictures; the means are in the authors' readme. A mosaic is one foreground point and eight background points in nine
# slots, eighteen numbers in all. Its label is the class of the foreground point. Every class is equally frequent.

# %%
SLOTS = 9
MEANING = {
    1: "any two classes separable",
    2: "foreground apart, background overlaps",
    3: "foreground overlaps, apart from background",
    4: "foreground inside the background's hull",
    5: "each class a mixture of two",
}
VARIANCES = dict.fromkeys(PLANAR_TYPES, (0.1,)) | {4: (0.1, 0.01)}
TYPES = [(kind, variance) for kind, variances in VARIANCES.items() for variance in variances]


# %%
def mixture(kind, variance):
    return PLANAR_TYPES[kind]._replace(variance=variance)


def name_of(kind, variance):
    return f"type {kind}" + (f", variance {variance}" if len(VARIANCES[kind]) > 1 else "")


def seen(mixture, seed=0, few=300, **behind):
    """Some points of a mixture, and what lies behind them."""
    points = draw_points(mixture._replace(points=few), seed=seed)
    return plots.Plane(points.inputs.numpy(), points.labels.numpy(), frame_of(mixture), **behind)


# %%
clouds_of_types = [seen(mixture(*one)) for one in TYPES]
run.figure(
    "data_types",
    plots.plane({"": clouds_of_types}, foreground=3, titles=[name_of(*one) for one in TYPES]),
    caption="Table 9: the points of the five data types; foreground classes in colour. Type 4 with the variance of the "
    "text and with that of a later notebook.",
    n=1,
)

# %% [markdown]
# What each type is meant to show, in the authors' words:

# %%
pd.Series(MEANING, name="the authors' words").rename_axis("type").to_frame()

# %% [markdown]
# The text gives one variance, 0.1, for all. A later notebook of type 4 has 0.01, so type 4 is run with both. At 0.1 the
# classes of type 4 touch.
#
# ## Who classifies
#
# - **linear SVM** on the flat mosaic, C = 100 as the authors have it. Its solver is stopped after a number of steps,
#   and whether it converged by then is reported (the paper notes "not converging" once). A **soft SVM** with C = 0.01
#   stands beside it, whose solver has an easy life.
# - **deep network** on the flat mosaic: three hidden layers of 50 units.
# - **deep attention**: a focus network scores each point, softmax over the slots, the weighted average goes to a
#   classification network. Arch 1 has 2-4-8-1 and 2-4-3 units, Arch 2 2-50-50-1 and 2-50-3.
# - **linear attention**: both networks are a single linear layer.
#
# SGD at 0.01 with momentum 0.9, batches of 250; both networks of an attention model have the same learning rate.

# %%
ARCHITECTURES = {1: dict(where=(4, 8), what=(4,)), 2: dict(where=(50, 50), what=(50,))}
ARCH = {1: 1, 2: 1, 3: 1, 4: 2, 5: 1}
EPOCHS = {1: 80, 2: 10, 3: 120, 4: 164, 5: 150}
FOLLOWED = 5  # epochs between two looks, as the authors do
LOOKS = max(EPOCHS.values()) // FOLLOWED
PORTRAYED = run.seeds(1)  # networks of which a picture is kept


def dtype():
    return torch.float32 if scale.arithmetic == "fp32" else torch.float64


# %%
# NBVAL_CHECK_OUTPUT
for arch, hidden in ARCHITECTURES.items():
    net = models.PlanarAttention((2, *hidden["where"], 1), (2, *hidden["what"], 3), seed=0)
    sizes = [sum(p.numel() for p in part.parameters()) for part in (net.where, net.what)]
    print(f"Arch {arch}: focus {sizes[0]} parameters, classification {sizes[1]}")

# %% [markdown]
# Every reader of a seed learns from the same 3000 mosaics. It is tested three times: on those; on 1000 other mosaics of
# *the same* points, which is the authors' test set; and on 1000 mosaics of fresh points, which they lack.


# %%
def on_types(kind, variance, reader, seed):
    sets = [
        planar.mixture_sets(mixture(kind, variance), slots=SLOTS, n=scale.mosaics, seed=one, dtype=dtype())
        for one in seed
    ]
    return planar.classify(
        reader,
        sets,
        seed,
        epochs=min(EPOCHS[kind], scale.longest),
        every=FOLLOWED,
        looks=LOOKS,
        **ARCHITECTURES[ARCH[kind]],
        frames=[frame_of(mixture(kind, variance)) if one in PORTRAYED else None for one in seed],
        steps=scale.few_steps,
    )


# %% [markdown]
# Long trainings go first, so that all cores finish together. With its other variance type 4 is learnt by deep attention
# only.

# %%
LONGEST_FIRST = ("deep attention", "deep network", "linear attention", "linear SVM", "soft SVM")
jobs = [
    dict(kind=kind, variance=variance, reader=reader)
    for reader in LONGEST_FIRST
    for kind, variance in reversed(TYPES)
    if reader == "deep attention" or variance == VARIANCES[kind][0]
]
types = run.sweep(
    on_types, [one | dict(seed=s) for one in jobs for s in run.seeds(scale.seeds)], batch="seed", chunk=15
)
types["type"] = [name_of(*one) for one in zip(types["kind"], types["variance"], strict=True)]
types["focus"] = types["ftpt"] + types["ftpf"]  # share of mosaics with the largest weight on the foreground

# %% [markdown]
# ## Table 8 again
#
# The table of the paper is a picture too; the numbers in red are those of the authors' readme, which is its likely
# source: one run each.

# %%
registry = claims.registry(run.section)
READER_ORDER = list(planar.READERS)
PARTS = {"train": "training mosaics", "test": "same points", "fresh": "fresh points"}


# %%
def mean_of(table, row, value, rows):
    """Means over seeds as a matrix (rows, readers)."""
    return table.pivot_table(index=row, columns="reader", values=value).loc[list(rows), READER_ORDER].to_numpy()


# %%
names = [name_of(*one) for one in TYPES]
ours = {title: mean_of(types, "type", part, names) for part, title in PARTS.items()}
theirs = {title: np.full((len(TYPES), len(READER_ORDER)), np.nan) for title in ours}
for line, (kind, variance) in enumerate(TYPES):
    for part in ("train", "test") if variance == VARIANCES[kind][0] else ():
        theirs[PARTS[part]][line, READER_ORDER.index("deep attention")] = claims.reported(
            f"mosaic.x.t8.type{kind}.{part}"
        )
run.figure(
    "table8",
    plots.matrices(ours, rows=names, columns=READER_ORDER, second=theirs, unit="accuracy", cell=(0.52, 0.42)),
    caption="Accuracy in percent of five readers (columns) on the five data types (rows): on the training mosaics, on "
    "other mosaics of the same points, on mosaics of fresh points. Means over seeds; the authors' numbers in red.",
)

# %% [markdown]
# The intervals behind the means go into the table of the figure's name. Below, for deep attention, the least and the
# greatest value over the seeds, in percent:

# %%
table8 = summarise(types, list(PARTS), ["type", "reader"])
run.table("table8", table8.round(4), caption="Accuracy by data type and reader, with 95 % intervals.")
deep = types.query("reader == 'deep attention'")
spread = deep.groupby("type", sort=True)[["train", "fresh", "focus"]].agg(["min", "max"])
(100 * spread).round(1)

# %% [markdown]
# A third is chance. The linear machines are little above it wherever the classes are not arranged around their
# background as in type 2. The deep network on eighteen numbers learns its training mosaics, of type 5 all of them, by
# heart: its first panel must be read beside its last, which a table of training accuracies cannot show. Deep attention
# is as accurate on fresh points as on known ones, with far fewer numbers to fit. The authors' test mosaics, made of the
# training points, are as hard as those of fresh points.
#
# The range over the seeds is the other half. Where the start decides, one run for each number hides it.
#
# ## Right for the right reason?
#
# The question of the section is when attention is interpretable: does the network look at the foreground?

# %%
run.figure(
    "focus_and_accuracy",
    plots.scatter(
        deep.sort_values("type"),
        "focus",
        "fresh",
        hue="type",
        xlabel="share of mosaics with the focus on the foreground",
        ylabel="accuracy on fresh points",
    ),
    caption="Deep attention on the five data types, one point per seed: accuracy on fresh points against the share of "
    "training mosaics in which the largest weight is the foreground's.",
    n=1,
)

# %% [markdown]
# High accuracy does not need good focus: points at the top and well left of the right edge are networks that answer
# correctly with their largest weight on a background point in many mosaics. They have found weights of the background
# that keep the average on the right side. The other way round, good focus does not always give the answer: in type 3
# the foreground classes overlap, and accuracy stays below one at perfect focus.

# %%
looks = FOLLOWED * np.arange(1, LOOKS + 1)
shares = unroll(deep.query("variance == 0.1").sort_values("type"), "course", epoch=looks, share=planar.COURSE).dropna(
    subset="course"
)
COURSES = dict(zip(planar.SHARES, ("focus and answer right", "answer only", "focus only", "neither"), strict=True))
shares = shares[shares["share"].isin(list(COURSES))].replace({"share": COURSES})
line = functools.partial(plots.curves, x="epoch", y="course", hue="share", share=True)
run.figure(
    "courses_of_types",
    plots.panels(dict(iter(shares.groupby("type"))), line, size=(2.2, 1.7), xlabel="epoch", ylabel="share of mosaics"),
    caption="The four shares of the training mosaics against the epoch, variance 0.1; mean and 95 % interval.",
)

# %% [markdown]
# In the authors' log of type 1 answers come first, and the focus follows until nearly all mosaics have both. Here the
# bands are wide because whole runs differ: some go that way, others settle early with the focus on a background point
# and stay there, as the table of the first epochs tells.

# %% [markdown]
# Number by number, the log beside the range over the seeds here:

# %%
of_type1 = deep.query("kind == 1")
at = [one for one in (5, 10, 15) if one <= min(EPOCHS[1], scale.longest)]


def counted(epoch, name):
    """Training mosaics of type 1 in one of the four groups, one number per seed."""
    place = planar.COURSE.index(name)
    return np.round([scale.mosaics * float(c[epoch // FOLLOWED - 1, place]) for c in of_type1["course"]])


# %%
log = {
    f"epoch {epoch}, {name.upper()}": [
        claims.reported(f"mosaic.x.s6.type1.log.epoch{epoch}.{name.upper()}"),
        *np.quantile(counted(epoch, name), [0, 0.5, 1]),
    ]
    for epoch in at
    for name in planar.SHARES
}
log = pd.DataFrame(log, index=["the authors", "least", "median", "greatest"]).T
run.table("log_of_type1", log, caption="Training mosaics of type 1 by focus and prediction, over the seeds.")

# %% [markdown]
# ### Decision regions
#
# What do the two networks make of every place? Above: the mean weight that a foreground point at this place would get
# among the backgrounds of the training mosaics. Below: the class that an average at this place gets. The two numbers
# are the shares of training mosaics that are answered right, and whose focus is on the foreground.


# %%
def portrait(table, mixture, what):
    """The picture of the first seed in a table of one kind."""
    row = table.sort_values("seed").iloc[0]
    note = f"{100 * row['train']:.0f} % / {100 * row['focus']:.0f} %" if what == "what" else ""
    return seen(mixture, few=60, behind=row[what], classes=what == "what", note=note)


def regions(what):
    return [portrait(deep[deep["type"] == name_of(*one)], mixture(*one), what) for one in TYPES]


# %%
run.figure(
    "regions_of_types",
    plots.plane({"focus": regions("where"), "classes": regions("what")}, foreground=3, titles=names),
    caption="Deep attention on the data types, first seed. Top: weight of a foreground point at each place (dark: all)."
    " Bottom: class of an average at each place.",
    n=1,
)

# %% [markdown]
# Where the focus is good, the dark part of the upper row holds the coloured points and no grey ones. The lower row is
# asked about *averages*: with good focus these are the points themselves, and the borders need to be right only there.
#
# ## Fixed focus
#
# How much focus is enough? Here the focus is given: weight *i*/9 on the foreground, the rest shared, and the
# classification network of the type is trained on the averages D*i*. The authors do not say for how long; we train as
# long as the attention model of the same type.

# %%
DATASETS = range(1, 10)


# %%
def with_fixed_focus(kind, seed):
    made = [planar.mixture_sets(PLANAR_TYPES[kind], slots=SLOTS, n=scale.mosaics, seed=s, dtype=dtype()) for s in seed]
    inputs = [fixed_focus(one.train, i / 9) for one in made for i in DATASETS]
    labels = [one.train.labels for one in made for _ in DATASETS]
    networks, _ = training.fit_many(
        lambda one: models.MLP((2, *ARCHITECTURES[ARCH[kind]]["what"], 3), seed=one).to(dtype()),
        inputs,
        labels,
        [s for s in seed for _ in DATASETS],
        epochs=min(EPOCHS[kind], scale.longest),
        lr=planar.RATE,
        momentum=0.9,
        batch=250,
    )
    right = (networks.outputs(inputs).argmax(-1).cpu() == torch.stack(labels)).double().mean(1)
    return [dict(accuracy=one.numpy()) for one in right.reshape(len(seed), -1)]


# %% [markdown]
# The nine networks of a seed share their initial weights and the order of the batches, and are trained together.

# %%
kinds = sorted(EPOCHS)
fixed = run.sweep(with_fixed_focus, kind=kinds[::-1], seed=run.seeds(scale.seeds), batch="seed", chunk=15)


def of_fixed(kind):
    return np.stack(fixed.query("kind == @kind").sort_values("seed")["accuracy"])


columns = [f"D{i}" for i in DATASETS]

# %%
run.figure(
    "fixed_focus",
    plots.matrices(
        {"trained on D…": np.stack([of_fixed(kind).mean(0) for kind in kinds])},
        rows=[f"type {kind}" for kind in kinds],
        columns=columns,
        second={
            "trained on D…": np.array([[claims.reported(f"mosaic.x.s6.type{k}.{D}") for D in columns] for k in kinds])
        },
        unit="accuracy",
        cell=(0.52, 0.42),
    ),
    caption="Training accuracy in percent with fixed focus, from the plain mean (D1) to the foreground alone (D9), "
    "mean over seeds; the authors' numbers in red.",
)

# %% [markdown]
# More focus helps, up to what the overlap of the foreground classes and the luck of four hidden units allow. The
# authors' rows of types 4 and 5 begin and end where ours do and rise later. Their row of type 1 (no gain beyond D4) and
# of type 2 (a dip in the middle) are not those of networks trained on each data set for as long as here: the averages
# of D5 are the foreground at about half its size, and in type 2 as easily separated. Such a dip does not come from the
# data.
#
# ## Three points: Figure 3
#
# Two foreground classes and one background class, three slots, six numbers. The points of the figure's two rows are
# pictures, and not in the stored code. What can be known about them?
#
# Suppose three round Gaussians with one variance. A linear machine has to treat all slots alike, so it sees the *sum*
# of the three points: the noise of the background adds to that of the foreground, and the standard deviation is as if
# multiplied by the root of three. With perfect focus only the foreground's is left. So the accuracy of the linear
# machine gives away the best that any network can reach:

# %%
# NBVAL_CHECK_OUTPUT
ROWS = ("row1", "row2")
SVM = {row: claims.reported(f"mosaic.f3.{row}.linear_svm_mosaic") for row in ROWS}
best = {row: norm.cdf(np.sqrt(3) * norm.ppf(share)) for row, share in SVM.items()}
deep_told = {row: claims.reported(f"mosaic.f3.{row}.deep_attention") for row in ROWS}
table = {"linear SVM, reported": SVM, "hence at best": best, "deep attention, reported": deep_told}
(100 * pd.DataFrame(table)).round(1)

# %% [markdown]
# The reported numbers are out of reach: the points of Figure 3 are *not* three round Gaussians of one variance. The
# background must be broader than the foreground classes, so that it hides them in the sum, and yet lie beside them.
# We run four distributions, each with one number calibrated by the closed form on the reported accuracy of the linear
# machine alone; the other three columns are the test.
#
# - *row 1* and *row 2*: Gaussians of one variance, with the means of the authors' first notebook, and with the
#   background between the foreground classes. This is the reading of our specification.
# - *ring*: the background all around the foreground. A straight line cannot cut it off.
# - *band*: the background in a band beside the foreground. A line can.


# %%
def hidden_by(share, distance):
    """Variance of the sum of three points in which classes at a distance are told apart with this accuracy."""
    return float((distance / 2 / norm.ppf(share)) ** 2)


def broad(share, distance=2.0, variance=0.1):
    """Variance of the background's means that hides the foreground as much."""
    return (hidden_by(share, distance) - 3 * variance) / 2


# %%
radius, reach = np.sqrt(2 * broad(SVM["row1"])), np.sqrt(1.5 * broad(SVM["row2"]))
TURN = np.arange(12) * np.pi / 6
PAIR = [(-1, 0), (1, 0)]
PROBLEMS = {
    "row 1": clouds([(2, 7), (2, 6)], [(3.5, 6)], variance=hidden_by(SVM["row1"], 1) / 3),
    "row 2": clouds([(0, 0), (2, 0)], [(1, 0.5)], variance=hidden_by(SVM["row2"], 2) / 3),
    "ring": clouds(PAIR, radius * np.column_stack([np.cos(TURN), np.sin(TURN)])),
    "band": clouds(PAIR, [(-reach, 1.5), (0, 1.5), (reach, 1.5)]),
}
STAND_INS = {"row1": ("row 1", "ring"), "row2": ("row 2", "band")}

# %% [markdown]
# Four more families carry the observations beyond these pictures:
#
# - *separation*: the foreground classes at a growing distance, the background (variance 0.1 as well) beside them;
# - *random*: the three means uniform in a square of side 2, others for each seed;
# - *flip*: mosaics of *K* points in *D* dimensions, from scikit-learn's `make_classification` with 500 points of which
#   a fifth have their class drawn anew (as in the authors' readme); and *far*, classes far apart;
# - *line*: two points on a line, the background strung out to the right of the foreground.

# %%
LINEAR = 200  # epochs of linear attention, as the authors have it; the deep networks have 700
SEPARATIONS = (0.25, 0.5, 1.0, 2.0, 4.0)
HIGHER = ((3, 5), (4, 5), (4, 10), (5, 5), (5, 10))
FAR = ((3, 5), (5, 10))


def pair(distance, dimensions=2):
    rest = (0,) * (dimensions - 2)
    return clouds([(-distance / 2, 0, *rest), (distance / 2, 0, *rest)], [(0, 2, *rest)])


# %%
PROBLEMS |= {f"separation {distance}": pair(distance) for distance in SEPARATIONS}
PROBLEMS |= {f"far D{d} K{k}": pair(6, d) for d, k in FAR}
PROBLEMS |= {"line": clouds([(0,), (1,)], [(place,) for place in range(2, 8)], variance=0.01)}
SLOTS_OF = {f"{kind} D{d} K{k}": k for kind, pairs in (("flip", HIGHER), ("far", FAR)) for d, k in pairs} | {"line": 2}


# %% [markdown]
# All mosaics of a problem follow from its name and the seed: points, fresh points, and the mosaics of both.


# %%
def sets_of(problem, seed):
    """Mosaics of a problem for one seed, of three points if nothing else is said."""
    given = dict(slots=SLOTS_OF.get(problem, 3), n=scale.three, seed=seed, dtype=dtype())
    if problem.startswith("flip"):
        pool, fresh = hypercube_points(int(problem.split()[1][1:]), seed=seed)
        return planar.draw_sets(pool, fresh, 2, **given)
    return planar.mixture_sets(random_clouds(seed) if problem == "random" else PROBLEMS[problem], **given)


# %%
def on_points(problem, reader, seed):
    epochs = min(scale.epochs, LINEAR) if reader == "linear attention" else scale.epochs
    in_plane = problem in PROBLEMS and len(PROBLEMS[problem].means[0][0]) == 2
    return planar.classify(
        reader,
        [sets_of(problem, one) for one in seed],
        seed,
        epochs=epochs,
        every=max(1, epochs // 20),
        looks=20,
        frames=[frame_of(PROBLEMS[problem]) if in_plane and one in PORTRAYED else None for one in seed],
        steps=scale.steps,
    )


# %% [markdown]
# Every reader learns every problem. The random pictures and the line have more seeds, because there the seed is what
# the question is about.

# %%
more = {"random": scale.more, "line": scale.more}
jobs = [
    dict(problem=problem, reader=reader, seed=one)
    for reader in LONGEST_FIRST
    for problem in dict.fromkeys([*(f"flip D{d} K{k}" for d, k in HIGHER[::-1]), *more, *PROBLEMS])
    for one in run.seeds(more.get(problem, scale.seeds))
]
points = run.sweep(on_points, jobs, batch="seed", chunk=15)
points["focus"] = points["ftpt"] + points["ftpf"]


# %%
def accuracy(problem, reader, part):
    """Of all seeds, in their order."""
    chosen = points.query("problem == @problem and reader == @reader").sort_values("seed")
    return chosen[part].to_numpy()


# %% [markdown]
# ### The figure
#
# Columns are the distributions; rows the points, and what linear and deep attention make of the plane.

# %%
FOUR = ("row 1", "row 2", "ring", "band")


def faces(problems, reader, what):
    chosen = points.query("reader == @reader")
    return [portrait(chosen[chosen["problem"] == one], PROBLEMS[one], what) for one in problems]


# %%
def faces_of(problems):
    rows = {"points": [seen(PROBLEMS[one], few=150) for one in problems]}
    rows["linear attention,\nfocus"] = faces(problems, "linear attention", "where")
    rows["deep attention,\nfocus"] = faces(problems, "deep attention", "where")
    rows["deep attention,\nclasses"] = faces(problems, "deep attention", "what")
    return rows


# %%
run.figure(
    "figure3_regions",
    plots.plane(faces_of(FOUR), foreground=2, titles=FOUR, size=1.25),
    caption="Figure 3 with four distributions, first seed: points; weight of a foreground point at each place, for "
    "linear and deep attention; class of an average at each place, for deep attention.",
    n=1,
)

# %% [markdown]
# The four columns of numbers, and the soft machine beside them:

# %%
COLUMNS = {
    "linear SVM": "linear_svm_mosaic",
    "deep network": "deep_net_mosaic",
    "linear attention": "linear_attention",
    "deep attention": "deep_attention",
}
ours = {PARTS[part]: mean_of(points, "problem", part, FOUR) for part in ("train", "fresh")}
row_of = {problem: row for row, problems in STAND_INS.items() for problem in problems}
cells = [[claims.reported(f"mosaic.f3.{row_of[p]}.{COLUMNS.get(r)}") for r in READER_ORDER] for p in FOUR]

# %%
run.figure(
    "figure3_accuracies",
    plots.matrices(
        ours,
        rows=FOUR,
        columns=READER_ORDER,
        second={PARTS["train"]: np.array(cells)},
        unit="accuracy",
        cell=(0.7, 0.5),
    ),
    caption="Accuracy in percent on the training mosaics, as in Figure 3, and on mosaics of fresh points; means over "
    "seeds. In red, row 1 of the figure beside row 1 and ring, row 2 beside row 2 and band.",
    n=scale.seeds,
)

# %% [markdown]
# With Gaussians of one variance (row 1, row 2) nobody comes near the reported numbers on fresh points, as the closed
# form says; what the deep network gains on its training mosaics it does not keep. On the ring the deep readers succeed
# and the linear focus fails; on the band a linear focus is enough. Fresh points set the deep network and deep attention
# apart where training accuracies do not.

# %%
attend = ["linear attention", "deep attention"]
courses = points[points["problem"].isin(["row 1", "ring"]) & points["reader"].isin(attend)]
courses = unroll(courses, "course", look=np.arange(1, 21), share=planar.COURSE).dropna(subset="course")
every = {"linear attention": max(1, min(scale.epochs, LINEAR) // 20), "deep attention": max(1, scale.epochs // 20)}
courses["epoch"] = courses["look"] * courses["reader"].map(every)
courses = courses.replace({"share": COURSES | {"half": "largest weight over half"}})
parts = {
    f"{p}, {r.split()[0]}": courses.query("problem == @p and reader == @r") for p in ("row 1", "ring") for r in attend
}
line = functools.partial(plots.curves, x="epoch", y="course", hue="share", share=True)

# %%
run.figure(
    "figure3_courses",
    plots.panels(parts, line, across=4, size=(2.1, 2.0), xlabel="epoch", ylabel="share of mosaics"),
    caption="The trend pictures of Figure 3 for two of the distributions: shares of the training mosaics by focus and "
    "answer, and those whose largest weight is at least one half, against the epoch; mean and 95 % interval.",
    n=scale.seeds,
)

# %% [markdown]
# On the ring linear attention goes on with a focus no better than chance, a third. In row 1 deep attention is sure of
# itself, with a largest weight over one half nearly everywhere, and on the foreground in far fewer mosaics: a sure
# focus need not be a right one.
#
# ## The separation of the classes
#
# For Gaussians of one variance both limits are known exactly: what the sum of the points allows (a linear machine), and
# what the foreground point alone allows (perfect focus).

# %%
sd = np.sqrt(PLANAR_TYPES[1].variance)
closed = [
    dict(separation=d, reader=name) | dict.fromkeys(PARTS, norm.cdf(d / 2 / sd / noise))
    for name, noise in (("limit of the sum", np.sqrt(3)), ("limit of the foreground", 1.0))
    for d in SEPARATIONS
]
grid = points[points["problem"].str.startswith("separation") & (points["reader"] != "linear SVM")]
grid = grid.assign(separation=grid["problem"].str.split().str[-1].astype(float))
limits = pd.concat([grid, pd.DataFrame(closed)], ignore_index=True)
parts = {PARTS[part]: limits.assign(accuracy=limits[part]) for part in ("train", "fresh")}
line = functools.partial(plots.curves, x="separation", y="accuracy", hue="reader", share=True)

# %%
run.figure(
    "separation",
    plots.panels(parts, line, size=(3.3, 2.9), xlabel="distance of the foreground classes", ylabel="accuracy"),
    caption="Accuracy against the distance between the foreground classes, on training mosaics and on fresh points, "
    "with the two limits; mean and 95 % interval.",
    n=scale.seeds,
)

# %% [markdown]
# Two limits, two kinds of readers. The linear machine (the soft one, whose solver converges) follows that of the sum;
# what can single out the foreground follows the other one, with or without attention. Above that limit there is only
# memory, of the training mosaics. To the right all lines meet at one: *separable mosaics need no attention*.
#
# ## Random pictures
#
# One distribution proves little. Here the means are drawn at random, others for every seed.

# %%
pictures = points[points["problem"] == "random"]
wide = pictures.pivot_table("fresh", "seed", "reader").reset_index()
others = ["soft SVM", "deep network", "linear attention"]

# %%
run.figure(
    "random_distributions",
    plots.scatter(
        wide.melt(["seed", "deep attention"], others),
        "value",
        "deep attention",
        hue="reader",
        xlabel="accuracy of the reader, fresh points",
        ylabel="accuracy of deep attention, fresh points",
    ),
    caption="Deep attention against three other readers on fresh points, for random means; each seed is one picture.",
    n=1,
)

# %% [markdown]
# Means, intervals and ranges over the pictures:

# %%
table = summarise(pictures, list(PARTS), "reader")
run.table("random_distributions", table.round(4), caption="Accuracies over random means, with 95 % intervals.")
table[table["quantity"] == "fresh"][["reader", "mean", "low", "high", "least", "greatest"]].round(3)

# %% [markdown]
# The spread *between* pictures is far larger than that between the networks. So the four accuracies of an
# unknown picture can neither be confirmed nor refuted digit by digit; only their order means something. The claims on
# the authors' further rows are judged with these random pictures, and stay open where the pictures differ by more than
# the tolerance.
#
# ## Higher dimensions

# %%
higher = points[points["problem"].str.startswith(("flip", "far"))].sort_values("problem", kind="stable")
parts = {PARTS[part]: higher.assign(accuracy=higher[part]) for part in ("train", "fresh")}
line = functools.partial(plots.strip, x="problem", y="accuracy", hue="reader", share=True)
run.figure(
    "higher_dimensions",
    plots.panels(parts, line, across=1, size=(8.2, 2.5), ylabel="accuracy"),
    caption="Mosaics of K points in D dimensions: made-up problems in which a fifth of the points have a random class "
    "(flip), and classes far apart (far). Training mosaics above, fresh points below.",
    n=scale.seeds,
)

# %% [markdown]
# On the training mosaics of *flip* the deep network without attention looks best, and on fresh points it is the worst
# of the networks: it has learnt mosaics by heart. In *far* the networks are right. The classes that were drawn anew
# bound everyone on fresh points: such a mosaic has a wrong label, or a second foreground point among its background.
#
# ## Points on a line: a matter of the start
#
# On a line, linear attention has one choice: weight grows to the left, or to the right.

# %%
line_runs = points.query("problem == 'line'")
run.figure(
    "line",
    plots.strip(line_runs, x="reader", y="train", share=True, ylabel="training accuracy", width=6.4),
    caption="Training accuracy on mosaics of two points on a line, one point per seed, with mean and 95 % interval.",
    n=scale.more,
)

# %% [markdown]
# The same runs, sorted by where the focus ended: on the foreground in more than half of the mosaics, or not.

# %%
turned = line_runs[line_runs["reader"].isin(attend)]
turned = turned.assign(end=np.where(turned["focus"] > 0.5, "good focus", "bad focus"))
ends = turned.groupby(["reader", "end"])["train"].agg(["size", "mean", "min", "max"]).reset_index()
run.table("line", ends.round(3), caption="Attention networks on the line by where their focus ended.")

# %% [markdown]
# Linear attention is right on nearly every mosaic or on about half of them, and nothing in between: its weight grows to
# the left or to the right as it began. The authors' readme has the same two numbers. The mean of such runs describes
# none of them. Deep attention finds its way from nearly every start.
#
# ## An explorer
#
# The slider moves the foreground classes apart: the points, the two attention networks, and the accuracies of all
# readers on fresh points.


# %%
def view(separation):
    problem = f"separation {separation}"
    chosen = grid[grid["problem"] == problem].replace({"reader": {r: r.replace(" ", "\n") for r in READER_ORDER}})
    strip = plots.strip(chosen, x="reader", y="fresh", share=True, ylabel="accuracy, fresh points", width=4.6)
    return plots.plane(faces_of([problem]), foreground=2, titles=[f"distance {separation}"], size=1.3), strip


widgets.explore(view, separation=SEPARATIONS)

# %% [markdown]
# ## The claims
#
# First what is set up.

# %%
run.claim("mosaic.s6.n_points", PLANAR_TYPES[1].points)
run.claim("mosaic.s6.cov", PLANAR_TYPES[1].variance)
run.claim("mosaic.d15", "training")
for kind in EPOCHS:
    stem = f"mosaic.x.t8.type{kind}"
    run.claim(f"{stem}.arch", ARCH[kind])
    run.claim(f"{stem}.epochs", EPOCHS[kind])
    run.claim(f"{stem}.lr_what", planar.RATE)
    run.claim(f"{stem}.lr_where", planar.RATE)
heading = "The readme's heading and its table disagree; we follow the table."
run.claim("mosaic.x.t8.type5.epochs.heading", EPOCHS[5], reason=heading)

# %% [markdown]
# The observations. The first two speak of fresh mosaics; the third leaves it open, and Figure 3 has training
# accuracies, so it is judged on both. The headline is the mean over the four distributions of Figure 3; every
# distribution alone, the random pictures and the higher dimensions are variants.


# %%
def compared(problems, part, first, *others):
    """Accuracy of one reader and of the best of others, averaged over problems: (seeds, 2)."""
    pairs = [
        [accuracy(problem, first, part), np.max([accuracy(problem, other, part) for other in others], axis=0)]
        for problem in problems
    ]
    return np.mean(pairs, axis=0).T


# %%
versions = {"faithful": FOUR} | {problem.replace(" ", ""): [problem] for problem in (*FOUR, "random")}
beyond = {"higher_dimensions": [f"flip D{d} K{k}" for d, k in HIGHER]}
for variant, problems in (versions | beyond).items():
    run.claim("mosaic.s6.obs1", compared(problems, "fresh", "deep attention", "deep network"), variant=variant)
for variant, problems in versions.items():
    for part, kept in (("train", variant), ("fresh", f"{variant}.fresh")):
        best_of = compared(problems, part, "deep attention", "linear attention", "deep network")
        run.claim("mosaic.s6.obs3", best_of, variant=kept)
widest = {"faithful": [f"separation {SEPARATIONS[-1]}"], "higher_dimensions": [f"far D{d} K{k}" for d, k in FAR]}
for variant, problems in widest.items():
    both = compared(problems, "fresh", "deep network", "deep attention")
    run.claim("mosaic.s6.obs2", both[:, 0] - both[:, 1], variant=variant)

# %% [markdown]
# Then the numbers of the data types, with the variance of the text and, for type 4, that of the later notebook.

# %%
verdicts = Counter()


def judged(identifier, values, **more):
    verdict = run.claim(identifier, values, **more)
    verdicts[verdict] += "variant" not in more


# %%
for (kind, variance), part in deep.groupby(["kind", "variance"]):
    other = {} if variance == VARIANCES[kind][0] else dict(variant=f"variance{variance}")
    for column in ("train", "test"):
        judged(f"mosaic.x.t8.type{kind}.{column}", part[column].to_numpy(), **other)
for epoch in at:
    for name in planar.SHARES:
        judged(f"mosaic.x.s6.type1.log.epoch{epoch}.{name.upper()}", counted(epoch, name))
for end in ("first", "last"):
    judged(f"mosaic.x.s6.type1.log.loss_{end}", of_type1[f"{end}_loss"].to_numpy())

# %%
for kind in EPOCHS:
    for i in DATASETS:
        if (identifier := f"mosaic.x.s6.type{kind}.D{i}") in registry:
            judged(identifier, of_fixed(kind)[:, i - 1])

# %% [markdown]
# Last, Figure 3 and the authors' further rows. Those of three points in the plane are judged with the random pictures
# (the first attention column of the oldest tables read as linear, the second as deep attention), rows 4 to 9 with the
# made-up problems of their dimension, rows 10 and 11 with the line, split by where the focus ended.

# %%
for row, (plain, wide) in STAND_INS.items():
    for reader, code in COLUMNS.items():
        judged(f"mosaic.f3.{row}.{code}", accuracy(plain, reader, "train"))
        judged(f"mosaic.f3.{row}.{code}", accuracy(wide, reader, "train"), variant="broad_background")
    judged(f"mosaic.f3.{row}.linear_svm_mosaic", accuracy(plain, "soft SVM", "train"), variant="converged")
PROBLEM_OF = {4: "flip D3 K5", 5: "flip D3 K5", 6: "flip D4 K5", 7: "flip D4 K10", 8: "flip D5 K5", 9: "flip D5 K10"}
READER_OF = {code: reader for reader, code in COLUMNS.items()}
READER_OF |= {"attention1": "linear attention", "attention2": "deep attention"}
UNKNOWN = "The points behind the number are unknown; these are stand-ins"


# %% [markdown]
# Which of our runs stands in for which of the authors' rows:


# %%
def stand_in(row, column):
    """Values for one of the authors' further rows."""
    if row in (10, 11) and column != "linear_svm_mosaic":
        ended = turned["end"] == ("good focus" if "good" in column else "bad focus")
        return turned[ended & (turned["reader"] == "linear attention")]["train"].to_numpy()
    problem = "line" if row in (10, 11) else PROBLEM_OF.get(row, "random")
    return accuracy(problem, READER_OF[column], "train")


# %%
for identifier in registry:
    if identifier.startswith("mosaic.x.f3.alt"):
        row, _, column = identifier.removeprefix("mosaic.x.f3.alt").partition(".")
        if len(values := stand_in(int(row), column)):  # one seed may end in one focus only
            judged(identifier, values, reason=UNKNOWN)

# %%
Markdown("Verdicts on the numbers: " + ", ".join(f"{n} {verdict}" for verdict, n in verdicts.most_common() if n) + ".")

# %%
run.finish()

# %% [markdown]
# ## What to try next
#
# - Start the networks of type 4 ten times and keep the one with the lowest training loss. How often is its focus good?
# - Give the background of *separation* three times the variance. Which of the two limits moves?
# - Train the deep network on the ring with ten times as many mosaics. Does it reach deep attention on fresh points?
# - Replace the softmax by the paper's formula, points times scores without normalisation. What happens on the line?
