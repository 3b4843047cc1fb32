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
# # Stage-wise learning: focus and classification take turns
#
# *Attention Model on Mosaic image* (L. N. Pandey and R. Vashisht), section 3.4, Table 3 and Figure 2, and the authors'
# readme.
#
# **Claimed.** The two networks of an attention model can be trained in turns, one frozen while the other learns. Long
# turns make the course erratic; a phase of the classification network gains more than one of the focus network; the
# classification network overfits while the focus is frozen, and when its turn ends the loss jumps.
#
# **Time on two cores.** smoke: seconds; laptop: about two minutes; paper (eight schedules, both orders, 5 seeds): hours
# on a GPU.
#
# **The laptop run** has a short and a long schedule of the eight (the short one in both orders), with turns of a tenth
# and the course cut off after four long turns; a fifteenth of the mosaics, made of only 400 images, so that an image is
# met as often as it is in the authors' hundreds of epochs; small batches, higher rates (above all for the focus), and
# three seeds. And it gives the classification network a *lead*, which the authors do not: on the mean of nine patches
# the loss rests at ln 3 for thousands of steps in which nothing is to be seen, so every training begins with
# classification alone until it has left that plateau. The run shows what a turn of either network does and what
# happens at a switch; it ends long before the accuracies of Table 3.

# %% tags=["parameters"]
profile = "auto"  # smoke, laptop, paper; auto asks the machine
device = "auto"  # cpu, cuda
seed = 0  # the first of the seeds

# %%
import functools

import numpy as np
import pandas as pd
from IPython.display import Markdown

from companion import claims, data, plots, stats, widgets
from companion.attention import phases
from companion.attention.stagewise import HALVES, fit_stagewise, lead, turn
from companion.models.attention import MosaicAttention
from companion.run import Run
from companion.tables import summarise

# %%
run = Run("mosaic/stagewise", profile=profile, device=device, seed=seed)
scale = run.scale(
    smoke=dict(images=400, mosaics=60, tests=30, batch=20, what=2.0, where=10.0, lead=1, shorter=20, most=8,
               experiments=(6, 2), both=(2,), seeds=2),
    laptop=dict(images=400, mosaics=2_000, tests=300, batch=20, what=2.0, where=10.0, lead=40, shorter=10, most=20,
                experiments=(6, 2), both=(2,), seeds=3),
    paper=dict(images=50_000, mosaics=30_000, tests=10_000, batch=250, what=1.0, where=1.0, lead=0, shorter=1, most=800,
               experiments=(1, 2, 3, 4, 5, 6, 7, 8), both=(1, 2, 3, 4, 5, 6, 7, 8), seeds=5),
)  # fmt: skip

# %% [markdown]
# ## Eight schedules
#
# The focus network ("where") scores the nine patches of a mosaic; the patches are averaged by the softmax of their
# scores; the classification network ("what") names the class of the foreground from the average. Horse, ship and
# truck are foreground (the authors' code; their text says airplane, automobile and bird). Every schedule is a number
# of epochs, the length of a turn, and a learning rate for each network.

# %%
FOREGROUND = (7, 8, 9)
COLUMNS = ("total_epochs", "switch_every", "lr_what", "lr_where")
SCHEDULES = {
    1: (180, 5, 0.01, 0.01),
    2: (200, 10, 0.01, 0.01),
    3: (280, 20, 0.01, 0.001),
    4: (320, 20, 0.01, 0.01),
    5: (360, 30, 0.01, 0.01),
    6: (500, 50, 0.01, 0.01),
    7: (600, 50, 0.001, 0.01),
    8: (800, 100, 0.001, 0.01),
}


# %%
def plan(experiment):
    """A schedule as it is run here: epochs, epochs of a turn, rates."""
    total, every, what, where = SCHEDULES[experiment]
    rates = dict(what=scale.what * what, where=scale.where * where)
    return min(total // scale.shorter, scale.most), max(1, every // scale.shorter), rates


schedules = pd.DataFrame(SCHEDULES.values(), columns=COLUMNS, index=pd.Index(SCHEDULES, name="experiment"))
here = {e: plan(e) for e in scale.experiments}
schedules["epochs here"] = pd.Series({e: epochs for e, (epochs, _, _) in here.items()})
schedules["turn here"] = pd.Series({e: every for e, (_, every, _) in here.items()})
run.table("schedules", schedules.astype(object).fillna(""), caption="The eight schedules, and those of this run.")

# %% [markdown]
# Optimiser, batch and number of mosaics are not in the readme. We take those of the sister experiments (SGD with
# momentum 0.9), and give each network an optimiser of its own, whose momentum waits while the network is frozen.
#
# A frozen focus gives a mosaic the same average every time. So a phase of the classification network is ordinary
# training on *one image a mosaic*, and needs a tenth of the computing: the averages are made once, when it begins. A
# test compares this with the plain loop. A phase of the focus network has no such short cut.

# %%
# NBVAL_CHECK_OUTPUT
halves = {half: getattr(MosaicAttention(seed=0), half) for half in HALVES}
{half: sum(weights.numel() for weights in part.parameters()) for half, part in halves.items()}

# %% [markdown]
# Weights of the two networks, the same small LeNet but for the last layer. One unit is one training.

# %%
PLACES = ("train", "test", "held_out")
KINDS = ("loss", "accuracy", "ftpt", "ffpt", "ftpf", "half")
LEFT = 1.085  # nats; a training loss below it has left the plateau at ln 3
MEASURES = ("loss", "accuracy", *(f"{place}_{kind}" for place in PLACES for kind in KINDS))


def stagewise(experiment, first, seed, checkpoint=None):
    """One training: every measure (rows) after every epoch (columns, from 0)."""
    epochs, every, rates = plan(experiment)
    n, tests = scale.mosaics, scale.tests
    pool = data.Images(*(part[: scale.images] for part in data.cifar10("train")))
    mosaics = data.mosaic_set(pool, FOREGROUND, n=n + tests, seed=seed)
    held_out = data.mosaic_set(data.cifar10("test"), FOREGROUND, n=tests, seed=seed)
    watched = dict(train=mosaics.part(0, min(n, tests)), test=mosaics.part(n, n + tests), held_out=held_out)
    net, known = MosaicAttention(seed=seed), mosaics.part(0, n)
    led = lead(net, known, seed=seed, epochs=scale.lead, below=LEFT, lr=rates["what"], batch=scale.batch)
    history = fit_stagewise(
        net, known, seed=seed, epochs=epochs, every=every, lr=rates, first=first, batch=scale.batch, watched=watched,
        checkpoint=checkpoint,
    )  # fmt: skip
    return dict(led=led, history=history[list(MEASURES)].to_numpy(np.float32).T)


# %% [markdown]
# Loss and accuracy are kept *as seen* in the epoch (means over its steps, while the network changes) and measured
# *after* each epoch on training mosaics, on the authors' "test" mosaics (new mosaics of the **same** CIFAR-10 training
# images) and on mosaics of CIFAR-10's test images, called held-out here.


# %%
def read(table):
    """One row per training and epoch, with its phase and the half that learns."""
    parts = []
    for row in table.itertuples():
        part = pd.DataFrame(np.asarray(row.history, float).T, columns=MEASURES).rename_axis("epoch").reset_index()
        turns = [turn(epoch, plan(row.experiment)[1], row.first) for epoch in part["epoch"][1:]]
        part["phase"], part["half"] = zip((0, ""), *turns, strict=True)
        parts.append(part.assign(led=row.led, experiment=row.experiment, first=row.first, seed=row.seed))
    return pd.concat(parts)


# %%
runs = []
for experiment in scale.experiments:
    orders = HALVES if experiment in scale.both else HALVES[:1]
    points = [dict(experiment=experiment, first=half, seed=s) for half in orders for s in run.seeds(scale.seeds)]
    runs.append(read(run.sweep(stagewise, points, name=f"experiment_{experiment}")))
runs = pd.concat(runs).sort_values(["experiment", "first", "seed", "epoch"], ignore_index=True)
RUN = ["experiment", "first", "seed"]
NAMES = {"what": "classification first", "where": "focus first"}
runs["run"] = [f"{e}, every {plan(e)[1]}, {NAMES[f]}" for e, f in zip(runs["experiment"], runs["first"], strict=True)]
LONG = max(scale.experiments)  # the paper's Figure 2 has experiment 8

# %% [markdown]
# The laptop's lead, in epochs of classification alone before epoch 0 (none at paper scale):

# %%
runs.groupby("seed")["led"].first().rename("epochs of lead").to_frame().T

# %% [markdown]
# ## Figure 2: the loss, and where the turns change


# %%
def by_place(table, kind):
    """Long form: training as seen, "test", held-out."""
    names = {kind: "training, as seen", f"test_{kind}": 'the authors\' "test"', f"held_out_{kind}": "held-out"}
    kept = table.rename(columns=names)
    return kept.melt(["epoch", "phase", "half", "seed"], list(names.values()), "mosaics", kind)


def courses(table, kind, **how):
    parts = {f"experiment {name}": by_place(part, kind) for name, part in table.groupby("run", sort=False)}
    draw = functools.partial(plots.stages, y=kind, hue="mosaics", **how)
    return plots.panels(parts, draw, across=1, size=(6.2, 2.0), xlabel="epoch", ylabel=how.get("ylabel", kind))


# %%
told = "Loss against epoch; grey: the focus network learns, white: the classification network; lines: switches."
run.figure("figure2", courses(runs.query("experiment == @LONG"), "loss", ylabel="loss (nats)"), caption=told)

# %% [markdown]
# A thin line is a training, a thick one their mean. White stripes are turns of the classification network, grey ones
# those of the focus. Look at what each network does to the distance between the training curve and the other two, and
# at the first epoch on either side of a line.

# %%
told = "Accuracy against epoch, every schedule and order of this run, with the turns."
run.figure("accuracy", courses(runs, "accuracy", share=True), caption=told)


def focus(table, place="test"):
    names = {"ftpt": "focus true, prediction true", "ffpt": "focus false, prediction true",
             "ftpf": "focus true, prediction false", "half": "a weight of one half or more"}  # fmt: skip
    kept = table.rename(columns={f"{place}_{kind}": name for kind, name in names.items()})
    return kept.melt(["epoch", "phase", "half", "seed"], list(names.values()), "share", "of mosaics")


# %%
by_run = dict(list(runs.groupby("run", sort=False)))
parts = {f"experiment {name}": focus(part) for name, part in by_run.items()}
draw = functools.partial(plots.stages, y="of mosaics", hue="share", share=True)
figure = plots.panels(parts, draw, across=1, size=(6.2, 2.0), xlabel="epoch", ylabel='share of "test" mosaics')
run.figure("focus", figure, caption="Focus and prediction on the authors' test mosaics against epoch.")

# %% [markdown]
# The focus can only move in the grey stripes; in the white ones mosaics pass between *prediction true* and *false*
# with their focus as it is. Right answers with a wrong focus come first: the classification network reads a mean of
# nine patches as well as it can. The focus is found by chance in one mosaic of nine (the blue and the green line add up
# to it); what is above that it has learnt. A weight of one half or more says that it chooses, not that it chooses well:
# a training whose focus is sure of the wrong patch hands its classification network less than the plain mean would.
# The sliders show the same for any schedule on any of the three kinds of mosaics.


# %%
def look(experiment, mosaics):
    return [draw(focus(by_run[experiment], mosaics), ylabel=f"share of mosaics ({mosaics})")]


widgets.explore(look, experiment=list(by_run), mosaics=PLACES)

# %% [markdown]
# ## Table 3 beside the authors'

# %%
reported = {row.id: row.reported for row in claims.registry(run.section).values()}
final = runs.groupby(RUN, sort=False).tail(1)
table3 = summarise(final, ["train_accuracy", "test_accuracy", "held_out_accuracy"], ["experiment", "first"])
table3["quantity"] = table3["quantity"].str.removesuffix("_accuracy")
keys = zip(table3["experiment"], table3["quantity"], strict=True)
table3["reported"] = [reported.get(f"mosaic.t3.e{experiment}.{quantity}", np.nan) for experiment, quantity in keys]
run.table("table3", table3, caption="Accuracy after the last epoch: mean, 95 % interval over seeds, and the paper's.")

# %%
table3["run"] = [f"{e}, {NAMES[f]}" for e, f in zip(table3["experiment"], table3["first"], strict=True)]
ends = table3.rename(columns={"mean": "accuracy"}).fillna({"low": table3["mean"], "high": table3["mean"]})
ends[["low", "high"]] = ends[["low", "high"]].clip(0, 1)  # a t interval of few seeds may leave the range of shares
titles = {"train": "training", "test": 'the authors\' "test"', "held_out": "held-out (no report)"}
parts = {title: ends[ends["quantity"] == place] for place, title in titles.items()}
draw = functools.partial(plots.intervals, label="run", middle="accuracy", reported="reported")
size = (2.3, 0.3 * len(parts["training"]) + 1.1)
told = "Accuracy after the last epoch with its 95 % interval over seeds; red: the paper's Table 3."
run.figure("table3", plots.panels(parts, draw, size=size, xlabel="accuracy (share)", ylabel="experiment"), caption=told)

# %% [markdown]
# At a profile below *paper* the distance to the red points is what was cut away (epochs and mosaics), not a finding.
# What can be compared at any scale is the step from the second panel to the third: it is what the authors' "test"
# leaves out, since its images are those of the training.

# %%
step = 100 * (final["test_accuracy"] - final["held_out_accuracy"]).groupby(final["seed"]).mean()
apart = stats.mean_interval(step)
Markdown(f'"Test" less held-out accuracy, mean over schedules: **{apart.mean:.1f} points** '
         f"(95 % interval over seeds {apart.low:.1f} to {apart.high:.1f}, n = {apart.n}).")  # fmt: skip

# %% [markdown]
# ## What a phase is worth
#
# "A little improvement in classification rewards more": the change of accuracy from the end of one phase to the end of
# the next, averaged over the phases of a training.

# %%
runs["gap"] = runs["train_accuracy"] - runs["test_accuracy"]
WORTH = ["train_accuracy", "test_accuracy", "held_out_accuracy", "gap"]
changed = pd.concat([
    phases.changes(part, WORTH).groupby("half")[WORTH].mean().reset_index().assign(run=part["run"].iloc[0],
                                                                                **dict(zip(RUN, key, strict=True)))
    for key, part in runs.groupby(RUN, sort=False)
])  # fmt: skip
TITLES = {"train_accuracy": "training", "test_accuracy": '"test"', "held_out_accuracy": "held-out",
          "gap": 'training less\n"test"'}  # fmt: skip
long = changed.rename(columns=TITLES).melt(["run", "half", "seed"], list(TITLES.values()), "accuracy on", "change")
long["change"] *= 100

# %%
parts = {f"experiment {name}": part for name, part in long.groupby("run", sort=False)}
draw = functools.partial(plots.strip, x="accuracy on", y="change", hue="half")
figure = plots.panels(parts, draw, across=2, size=(3.7, 2.4), ylabel="change per phase (percent points)")
told = "Change of accuracy per phase of the classification network (what) and of the focus network (where)."
run.figure("worth", figure, caption=told)

# %%
means = summarise(changed, WORTH, ["run", "half"])
run.table("worth", means, caption="Mean change of accuracy per phase, by the half that learns.")

# %% [markdown]
# One point a training, the mean with its interval beside. Three things to read off: which of the two colours is
# higher on training mosaics; whether that still holds on "test" and held-out mosaics; and the last group, the growth
# of the distance between training and "test", which is overfitting. In one line per comparison, paired by training:


# %%
def pairs(column, experiments=scale.experiments, first="what"):
    """(trainings, 2): mean change per phase of the classification network and of the focus network."""
    chosen = changed[changed["experiment"].isin(experiments) & (changed["first"] == first)]
    wide = chosen.pivot_table(index=["experiment", "seed"], columns="half", values=column)
    return wide.groupby("seed").mean()[list(HALVES)].to_numpy()


lines = []
for column, title in zip(WORTH, ("training accuracy", '"test" accuracy', "held-out accuracy", "gap"), strict=True):
    what, where = 100 * pairs(column).T
    line = f"- {title}: {what.mean():+.1f} points per phase of *what*, {where.mean():+.1f} of *where*"
    if len(what) > 1:
        pair = stats.paired(what, where)
        line += f"; difference {pair.difference:+.1f} ({pair.low:+.1f} to {pair.high:+.1f})"
    lines.append(line)
Markdown("\n".join(lines))

# %% [markdown]
# The claim is about the first line or two; an interval that contains zero leaves it open. Two things it passes over. A
# phase of *where* costs ten times the computing of a phase of *what*, since nine patches are scored and their average
# is classified for every mosaic and step. And the two gains are not of one kind: the classification network can gain
# by learning its averages by heart, which the last line shows, whereas only the focus can raise the ceiling that a
# mean of nine patches sets.
#
# ## The jump
#
# "Every time after the classification network finishes, there is a drop in accuracy and a sudden jump in loss." The
# measures *as seen* compare a mean over one epoch with a mean over the next. Each is taken while the network changes,
# so the last epoch of a phase is behind the network that comes out of it. The measures *after* the epochs on either
# side do not have that lag.

# %%
SEEN = {"loss": "as seen", "train_loss": "after the epoch"}
JUMPS = ["loss", "accuracy", "train_loss", "train_accuracy"]
jumped = pd.concat([
    phases.jumps(part, JUMPS).assign(run=part["run"].iloc[0], **dict(zip(RUN, key, strict=True)))
    for key, part in runs.groupby(RUN, sort=False)
])  # fmt: skip
for name in JUMPS:
    jumped[f"{name}_jump"] = jumped[f"{name}_after"] - jumped[f"{name}_before"]
jumped["switch"] = jumped["half"].map({"what": "classification\nends", "where": "focus\nends"})
each = jumped.groupby([*RUN, "run", "switch"], sort=False)[[f"{name}_jump" for name in JUMPS]].mean().reset_index()

# %%
parts = {title: each.assign(jump=each[f"{name}_jump"]) for name, title in SEEN.items()}
draw = functools.partial(plots.strip, x="switch", y="jump", hue="run")
figure = plots.panels(parts, draw, across=2, size=(3.1, 2.6), ylabel="loss in the next epoch less before (nats)")
for ax in figure.axes:
    ax.axhline(0, color="0.6", lw=0.8)
told = "Change of the training loss from the last epoch before a switch to the first after it, mean over switches."
run.figure("jump", figure, caption=told)

# %%
run.table("jump", summarise(jumped, [f"{name}_jump" for name in JUMPS], ["run", "half"]),
          caption="Changes across a switch, by the half that ends: all switches of all trainings.")  # fmt: skip

# %% [markdown]
# Points above zero in the left group of a panel are the claim; the right group is the other switch, of which the paper
# does not speak. Mind the scale: a jump that is small beside the wobble between any two epochs is none. If a loss rises
# as the focus begins, the classification network had been fitted to the averages of one focus and is handed others. It
# must have learnt them closely for that, so a short run, in which it has not, need not show it.
#
# ## Long turns
#
# "A bit absurd" is the paper's word for long turns. Here: the standard deviation of the steps of an accuracy from one
# epoch to the next. A steady rise has none, however steep.

# %%
restless = pd.DataFrame([
    dict(zip(RUN, key, strict=True)) | {"run": part["run"].iloc[0]}
    | {place: phases.restlessness(part[part["phase"] > 0], f"{place}_accuracy") for place in PLACES}
    for key, part in runs.groupby(RUN, sort=False)
])  # fmt: skip
restless["turns"] = [f"experiment {e}\nevery {plan(e)[1]}" for e in restless["experiment"]]
long = restless.rename(columns=dict(zip(PLACES, ("training", '"test"', "held-out"), strict=True)))
long = long.melt(["turns", "first", "seed"], ["training", '"test"', "held-out"], "mosaics", "spread")
long["spread"] *= 100
figure = plots.strip(long[long["first"] == "what"], "turns", "spread", hue="mosaics", width=8.0,
                     ylabel="sd of accuracy from epoch\nto epoch (percent points)")  # fmt: skip
told = "Standard deviation of the epoch-to-epoch steps of accuracy, classification first, by schedule."
run.figure("restless", figure, caption=told)

# %% [markdown]
# If long turns were more erratic at equal rates, the schedules with long turns would lie above those with short ones
# in the same colour. Schedules 7 and 8, with a tenth of the rate for the classification network, are another matter.
#
# ## The claims
#
# The rows of Table 3 need the paper's scale. Observations are judged on the experiments that the rows name; where a
# profile does not run them, on those it has, under the name of a variant of its own.

# %%
for experiment, values in SCHEDULES.items():
    for column, value in zip(COLUMNS, values, strict=True):
        run.claim(f"mosaic.t3.e{experiment}.{column}", value)
for (experiment, first), part in final.groupby(["experiment", "first"], sort=False):
    variant = "faithful" if first == "what" else NAMES[first]
    for place in ("train", "test"):
        run.claim(f"mosaic.t3.e{experiment}.{place}", part[f"{place}_accuracy"].clip(0, 1), variant=variant)
    told = "Mosaics of CIFAR-10 test images."
    run.claim(
        f"mosaic.t3.e{experiment}.test",
        part["held_out_accuracy"].clip(0, 1),
        variant=f"{variant}, held-out",
        reason=told,
    )

# %%
whole = set(scale.experiments) == set(SCHEDULES)
some = "faithful" if whole else "experiments " + ", ".join(map(str, sorted(scale.experiments)))
for claim, column in (("obs2", "train_accuracy"), ("obs3", "test_accuracy")):
    run.claim(f"mosaic.s34.{claim}", pairs(column), variant=some)
    run.claim(f"mosaic.s34.{claim}", pairs(column, scale.both, "where"), variant="focus first")
run.claim("mosaic.s34.obs3", pairs("held_out_accuracy"), variant="held-out")
one = "faithful" if LONG == 8 else f"experiment {LONG}"
run.claim("mosaic.s34.obs4.overfit", pairs("gap", [LONG]), variant=one)

# %%
spread = restless[restless["first"] == "what"].pivot_table(index="seed", columns="experiment", values="test")
short = min(scale.experiments)
variant = "faithful" if (short, LONG) == (1, 8) else f"experiment {LONG} against {short}"
run.claim("mosaic.s34.obs1", spread[[6 if variant == "faithful" else LONG, short]].to_numpy(), variant=variant)

# %%
ended = jumped[(jumped["half"] == "what") & (jumped["experiment"] == LONG) & (jumped["first"] == "what")]
ended = ended.groupby("seed").mean(numeric_only=True)
for prefix, variant in (("", one), ("train_", f"{one}, after the epoch")):
    losses = ended[[f"{prefix}loss_after", f"{prefix}loss_before"]]
    run.claim("mosaic.s34.obs4", losses.to_numpy(), variant=variant)
    accuracies = ended[[f"{prefix}accuracy_before", f"{prefix}accuracy_after"]]
    run.claim("mosaic.s34.obs4.accuracy", accuracies.to_numpy().clip(0, 1), variant=variant)

# %%
run.finish()

# %% [markdown]
# ## What to try next
#
# - Train both networks at once for as many epochs (`companion.attention.examples.OnMosaics` with `training.fit`): what
#   do turns cost, or save, at equal computing?
# - Give the classification network a rate that falls towards the end of its turn: does the loss still jump?
# - Turns by computing instead of epochs: ten epochs of *what* for one of *where* (another `turn`).
# - Foreground classes 0, 1 and 2, those of the text: is the focus found as easily?
