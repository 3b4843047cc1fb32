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
# # The rotating autoencoder: does a decoder learn to turn, or does it learn turned digits?
#
# *Can Deep Networks Learn Invariants?* (A. Potapov), sec. Generation, Rotation test, and the score files of the
# authors' repository (`baseline/autoencoders`).
#
# **Claimed.** An autoencoder sees an upright digit and must draw it turned by an angle that only its decoder is told.
# Digits seen at all angles are redrawn almost perfectly; '4' and '9', seen within ±45° only, are drawn wrongly beyond,
# '4' worse than '9', because a turned '6' has taught the decoder what a turned '9' looks like. Of the vanilla and the
# adversarial model one reconstructs somewhat worse and is the better generator.
#
# **Time on two cores.** smoke: seconds; laptop: two minutes; paper (full layers, 100,000 iterations of 128,
# five seeds, all test images, 200 angles): hours on a GPU. The laptop run has an eighth of the width, a fortieth of
# the iterations in quarter batches at twice the rate, and one adversarial network of each kind. Its drawings are
# blurred and its errors high; it shows where a network fails and on which digits, not how good it gets.

# %% tags=["parameters"]
profile = "auto"  # smoke, laptop, paper; auto asks the machine
device = "auto"  # cpu, cuda
seed = 0  # the first of the seeds

# %%
import functools

import numpy as np
import pandas as pd
from IPython.display import Markdown
from scipy import stats

from companion import claims, data, models, plots, tables, widgets
from companion.invariance import curves, identity, rotating
from companion.run import Run

# %%
run = Run("invariants/rotating_autoencoder", profile=profile, device=device, seed=seed)
scale = run.scale(
    smoke=dict(maps=(2, 4), dense=8, critic=8, batch=8, steps=4, lr=1e-3, seeds=1, adversarial_seeds=1, tests=120,
               step=9.0, pictures=2, samples=16, seen=200, judge_images=200, judge_epochs=1),
    laptop=dict(maps=(8, 16), dense=128, critic=128, batch=32, steps=2_500, lr=2e-3, seeds=3, adversarial_seeds=1,
                tests=300, step=9.0, pictures=4, samples=200, seen=3_000, judge_images=10_000, judge_epochs=2),
    paper=dict(maps=(64, 128), dense=1024, critic=1024, batch=128, steps=100_000, lr=1e-3, seeds=5,
               adversarial_seeds=5, tests=10_000, step=1.8, pictures=6, samples=2_000, seen=60_000,
               judge_images=60_000, judge_epochs=10),
)  # fmt: skip

# %% [markdown]
# ## The networks
#
# Encoder: two 4x4 convolutions of stride 2, a dense layer, a code of ten numbers. Decoder: the code joined by cosine
# and sine of the angle, two dense layers, two transposed convolutions. The article lets the decoder mirror the encoder;
# in the published code that is true of the adversarial model only, and the *vanilla* one has a decoder twice as wide.
# To compare like with like there is a vanilla model with the mirrored decoder too.
#
# The adversarial model has a critic that pulls the codes towards a uniform distribution: a Wasserstein critic with
# gradient penalty, five updates an iteration. In the published code the penalty's mixing weights have a shape that
# broadcasts against the codes, so that every weight mixes all pairs and one norm is taken over the whole batch. That is
# run *as coded* (with eight of the weights at a time, which has the same expectation), and *corrected*.

# %%
VANILLA, MIRRORED, RAW = "vanilla", "vanilla, mirrored", "vanilla, raw angle"
CODED, CORRECTED = "adversarial", "adversarial, corrected"
pd.DataFrame(rotating.VARIANTS.values(), index=rotating.VARIANTS.keys()).fillna("none")


# %% [markdown]
# One unit is one network, trained and asked everything below: its error at every angle, what a classifier reads in its
# drawings, what it draws from random codes, and which training images its drawings are close to.


# %%
def network(model, pictures, seed, checkpoint=None):
    examples, tests = data.mnist("train"), data.mnist("test")
    size = rotating.Size(scale.maps, scale.dense, scale.critic)
    trained = rotating.train(
        model, examples, seed=seed, steps=scale.steps, batch=scale.batch, size=size, lr=scale.lr, checkpoint=checkpoint
    )
    found = rotating.examine(
        trained, data.Images(tests.inputs[: scale.tests], tests.labels[: scale.tests]),
        data.Images(examples.inputs[: scale.seen], examples.labels[: scale.seen]),
        identity.judge(images=scale.judge_images, epochs=scale.judge_epochs),
        adversarial=model in (CODED, CORRECTED), step=scale.step, pictures=pictures, samples=scale.samples, seed=seed,
    )  # fmt: skip
    return found | dict(history=trained.history)


# %%
SEEDS = dict.fromkeys((CODED, CORRECTED), scale.adversarial_seeds)  # the longest trainings first
SEEDS |= dict.fromkeys((VANILLA, MIRRORED, RAW), scale.seeds)
first = [dict(model=model, pictures=scale.pictures, seed=seed) for model in SEEDS]
more = [dict(model=model, pictures=2, seed=one) for model, count in SEEDS.items() for one in run.seeds(count)[1:]]
networks = run.sweep(network, first, name="first")  # the pictures of one network of each model are enough to publish
if more:
    networks = pd.concat([networks, run.sweep(network, more, name="more")], ignore_index=True)
networks = networks.sort_values("seed", kind="stable")
firsts = networks.drop_duplicates("model").set_index("model")  # the first network of each model

# %% [markdown]
# ## Error against angle
#
# Every test image is encoded once, drawn at every angle and compared with the image turned by that angle. Errors are
# mean squared errors per pixel with pixels in [−1, 1]; one line per digit, the shaded range is where '4' and '9' were
# seen.

# %%
DEGREES = curves.angles(scale.step)
NAMES = {"d4": "'4'", "d9": "'9'", "o8": "the other eight"}
TICKS = (-180, -90, 0, 90, 180)
by_angle = tables.unroll(networks[["model", "seed", "curve"]], "curve", angle=DEGREES, digit=range(10))
ten_lines = functools.partial(plots.by_pose, x="angle", y="curve", hue="digit", bold=(4, 9), trained=(-45, 45),
                              ticks=TICKS)  # fmt: skip
PER_PIXEL = dict(xlabel="angle (degrees)", ylabel="mean squared error per pixel")


# %%
def of(table, *names):
    """The parts of a table that belong to some models, in this order."""
    return {name: table[table["model"] == name] for name in names}


def both(table):
    """The parts of the two published models, with the number of networks in their titles."""
    return {f"{name}, n = {SEEDS[name]}": part for name, part in of(table, VANILLA, CODED).items()}


LEAST = min(SEEDS[VANILLA], SEEDS[CODED])
figure = plots.panels(both(by_angle), ten_lines, size=(3.0, 2.7), across=2, **PER_PIXEL)
told = "Test error against angle, one line per digit, '4' and '9' bold with intervals."
run.figure("angle", figure, caption=told, n=LEAST)

# %% [markdown]
# Eight thin lines run flat: a digit that was seen all the way round costs the same at every angle. The two bold ones
# are flat within the shaded range and rise beyond it. All lines have narrow peaks at 0°, ±90° and 180°. A panel
# without shaded intervals shows a single network.
#
# ### The peaks
#
# They are a matter of the target, not of the network. At a multiple of 90° a turn only moves pixels; at any other angle
# it interpolates between them and blurs the target, and a decoder that draws smooth strokes is nearer to a blurred
# target than to a sharp one. If so, then a *detour*, turning by the angle less 45° and then by 45°, must move the
# peaks: now the targets at ±45° and ±135° have been interpolated once only, and all others twice.

# %%
plain = by_angle[~by_angle["digit"].isin(rotating.HELD_BACK)].groupby(["model", "seed", "angle"], as_index=False)
plain = plain["curve"].mean().assign(target="turned once")
detour = tables.unroll(networks[["model", "seed", "detour"]], "detour", angle=DEGREES)
targets = pd.concat([plain, detour.rename(columns={"detour": "curve"}).assign(target="by a detour")])
figure = plots.by_pose(targets[targets["model"] == VANILLA], "angle", "curve", hue="target",
                       bold=targets["target"].unique(), ticks=range(-180, 181, 45), **PER_PIXEL)  # fmt: skip
run.figure("peaks", figure, caption="The same drawings of eight digits against targets turned once and by a detour.")

# %% [markdown]
# The drawings are the same ones in both lines. Peaks stand where a target was interpolated least, and move with it:
# nothing happens in the network at 0° or 90°. Hence all means below leave out multiples of 90° (and what is within
# 5.4° of one), as our reading of the authors' score files does.
#
# ### Without the peaks, beside the authors' scores

# %%
COLUMNS = curves.turn_columns(DEGREES)
SHORT = {VANILLA: "vanilla", CODED: "adv"}


def reported(model, digit, column):
    """What the authors' score files give, or NaN."""
    return claims.reported(f"invariants.x.ae_rot.{SHORT[model]}.{digit}.{column}")


# %%
three = by_angle.assign(shown=by_angle["digit"].map({4: "'4'", 9: "'9'"}).fillna("the other eight"))
three = three[three["angle"].isin(DEGREES[COLUMNS["all"]]) & three["model"].isin(SHORT)]
three = three.groupby(["model", "seed", "shown", "angle"], as_index=False)["curve"].mean()
digit = {name: key for key, name in NAMES.items()}
three["reported"] = [
    reported(model, digit[shown], f"at{abs(angle):g}")
    for model, shown, angle in three[["model", "shown", "angle"]].itertuples(index=False)
]

# %%
draw = functools.partial(plots.by_pose, x="angle", y="curve", hue="shown", bold=NAMES.values(), trained=(-45, 45),
                         ticks=TICKS, reported="reported")  # fmt: skip
figure = plots.panels(both(three), draw, size=(2.9, 2.6), across=2, **PER_PIXEL)
told = "Error of '4', '9' and the others without sharp targets; red: the score files."
run.figure("masked", figure, caption=told, n=LEAST)

# %% [markdown]
# Red points are the authors' final errors (one network of each model; means of both signs). A shorter training of a
# narrower network lies above them. Compare the *shape*: the rise begins at the end of the trained range and is not a
# step but takes some tens of degrees, and '4' rises higher than '9'. Where is half of the way up?

# %%
halfway = pd.DataFrame(
    {
        f"'{one}'": [curves.half_rise(DEGREES, curve[:, one], COLUMNS) for curve in networks["curve"]]
        for one in rotating.HELD_BACK
    }
).assign(model=networks["model"].to_numpy())
halfway.groupby("model", sort=False).agg(["mean", "min", "max"]).round(0)

# %% [markdown]
# NaN would say that the error does not rise. The other digits at these angles have no rise at all, so this is how far
# beyond its range a decoder carries a digit by itself.
#
# ## The table

# %%
every = []
for one in networks.itertuples():
    part = curves.figures(one.curve, COLUMNS).rename_axis("digit").reset_index()
    every.append(part.assign(model=one.model, seed=one.seed))
scores = pd.concat(every, ignore_index=True)
SHOWN = ["in", "out", "far", "ratio"]
told = "Errors by digit within ±45°, beyond, beyond ±135°, and at sharp targets; mean and interval."
summary = tables.summarise(scores, [*SHOWN, "p0", "p90", "p180"], ["model", "digit"])
run.table("scores", summary, caption=told)
means = scores.groupby(["model", "digit"])[SHOWN].mean()


# %%
def beside(model):
    """Reported and reproduced errors of a model, side by side."""
    ours = means.loc[model]
    theirs = pd.DataFrame({column: [reported(model, digit, column) for digit in ours.index] for column in SHOWN})
    theirs["ratio"] = theirs["out"] / theirs["in"]
    parts = {"reported": theirs.set_index(ours.index), "reproduced": ours}
    return pd.concat(parts, axis=1).swaplevel(axis=1)[SHOWN]


compared = pd.concat({model: beside(model) for model in SHORT})
compared.round(3)

# %% [markdown]
# The column to read is *ratio*: about one for eight digits, more for '9', most for '4'. The two models of the score
# files differ in their decoder's size as well as in the critic; which of the two makes the difference?

# %%
at_trained = scores.assign(error=scores["all"].where(~scores["digit"].isin(["d4", "d9"]), scores["in"]))
at_trained = at_trained[at_trained["digit"] != "o8"].groupby(["model", "seed"], as_index=False)["error"].mean()
order = {model: place for place, model in enumerate(rotating.VARIANTS)}
at_trained = at_trained.sort_values("model", key=lambda names: names.map(order), kind="stable")
labelled = at_trained.assign(label=[f"{model}\nn = {SEEDS[model]}" for model in at_trained["model"]])
figure = plots.strip(labelled, "label", "error", ylabel="error at trained angles", width=7.2)
told = "Test error at trained angles, mean of the ten digits, by model; n below each."
run.figure("models", figure, caption=told, n=min(SEEDS.values()))

# %% [markdown]
# *Vanilla, mirrored* and *adversarial* have the same decoder: the step between them is what the critic costs. The step
# from *vanilla* to *vanilla, mirrored* is what the width of the decoder is worth. The article's wording ("it
# reconstructs somewhat worse") points at the vanilla model; the score files, and this comparison, say which it is.

# %%
error = at_trained.set_index(["model", "seed"])["error"]
level = error.groupby("model").mean()
Markdown(
    f"Against the mirrored vanilla model the wide decoder changes the error by "
    f"{level[VANILLA] / level[MIRRORED] - 1:+.0%}, the critic as coded by {level[CODED] / level[MIRRORED] - 1:+.0%}, "
    f"and the corrected one by {level[CORRECTED] / level[MIRRORED] - 1:+.0%}."
)

# %% [markdown]
# What does the slip in the penalty do? It asks for a norm of one over a whole *batch*, so the critic's slope at a
# single point is pulled to one over the root of the batch, where the formula of such critics asks for one.

# %%
ends = networks[networks["model"].isin((CODED, CORRECTED))]
slope = pd.DataFrame({"model": ends["model"], "slope": [history[-1, 3] for history in ends["history"]]})
slope = slope.groupby("model")["slope"].mean().to_frame("slope at the end")
slope["asked for"] = [1 / np.sqrt(scale.batch), 1.0]
slope.round(3)

# %% [markdown]
# ## What is drawn
#
# The article's pictures: test digits 3, 5, 4 and 9 at 20 angles; the first image of each in the test set, so that every
# run shows the same ones. (Others can be turned by hand at the end.)

# %%
tests = data.mnist("test")
WANTED = {number: rotating.turned(rotating.firsts(tests, scale.pictures)[number]) for number in rotating.GRID}


def answers(number, image, names):
    """A row of expected pictures, and one for each model."""
    rows = [firsts.loc[name, "drawings"][rotating.GRID.index(number), image] for name in names]
    return [WANTED[number][image], *rows]


# %%
sheets = {f"'{number}'": np.stack(answers(number, 0, (VANILLA, CODED))) for number in rotating.GRID}
columns = [f"{angle:g}" for angle in rotating.PICTURED]
figure = plots.tiles(sheets, rows=["expected", VANILLA, CODED], columns=columns)
run.figure("grids", figure, caption="Test digits 3, 5, 4, 9 by angle: expected, vanilla, adversarial.", n=1)

# %% [markdown]
# '3' and '5' turn all the way. '4' and '9' do so in the middle of their rows and lose their shape towards both ends,
# each in its own way. The article's last picture of this test takes a few angles of one '4' and one '9':

# %%
some = [rotating.PICTURED.index(float(angle)) for angle in (-144, -108, -72, -36, 0, 36, 72, 108, 144)]
FOUR_AND_NINE = (VANILLA, CODED, CORRECTED)
rows = {f"'{number}'": np.stack(answers(number, 0, FOUR_AND_NINE))[:, some] for number in rotating.HELD_BACK}
figure = plots.tiles(rows, rows=["expected", *FOUR_AND_NINE], columns=[columns[place] for place in some], scale=2,
                     shades=8)  # fmt: skip
run.figure("four_and_nine", figure, caption="The first test '4' and '9' at selected angles, by three models.", n=1)

# %% [markdown]
# Does a '4' at the ends still have its open top, its crossing stroke? Is the '9' still one, or the '6' that it would
# be if it were upright?
#
# ## Whose picture is it?
#
# Looking is not counting. So: turn each drawing *back* by its angle and let a classifier of upright digits read it. The
# same is done with the expected images, which tells what turning there and back costs the reader.

# %%
labels = tests.labels[: scale.tests].bincount(minlength=10).numpy()
shares = [
    dict(model=one.model, seed=one.seed, angle=angle, which=f"{NAMES[f'd{number}']}, {what}",
         read=table[place, number, number] / labels[number])
    for one in networks.itertuples() if one.model in SHORT
    for what, table in (("drawn", one.read), ("expected", one.expected))
    for number in rotating.HELD_BACK
    for place, angle in enumerate(rotating.PICTURED)
]  # fmt: skip
shares = pd.DataFrame(shares)
bold = [f"{NAMES[f'd{number}']}, drawn" for number in rotating.HELD_BACK]

# %%
draw = functools.partial(plots.by_pose, x="angle", y="read", hue="which", bold=bold, trained=(-45, 45), ticks=TICKS,
                         share=True)  # fmt: skip
figure = plots.panels(both(shares), draw, size=(2.9, 2.6), across=2, xlabel="angle (degrees)",
                      ylabel="read as what they are")  # fmt: skip
told = "Share of drawings that a classifier recognises once they are turned back."
run.figure("identity", figure, caption=told, n=LEAST)

# %% [markdown]
# Thin lines (expected images; upright at 0°) are the limit of the reader. Where the bold line of a digit falls away
# from its thin one, the drawings have stopped being that digit. What have they become?

# %%
LOOKED = np.array(rotating.PICTURED)
RANGES = {"to 45°": np.abs(LOOKED) <= 45, "to 135°": (np.abs(LOOKED) > 45) & (np.abs(LOOKED) <= 135)}
RANGES["beyond"] = np.abs(LOOKED) > 135


def read_as(model, number):
    """Shares of what drawings of a digit are read as, by range of angles; mean over networks."""
    counts = np.stack(networks.loc[networks["model"] == model, "read"]).astype(float)[:, :, number]
    rows = [counts[:, where].sum(1) for where in RANGES.values()]
    return np.stack([(row / row.sum(1, keepdims=True)).mean(0) for row in rows])


confused = {
    f"{NAMES[f'd{number}']}, {model}, n = {SEEDS[model]}": read_as(model, number)
    for model in SHORT for number in rotating.HELD_BACK
}  # fmt: skip
figure = plots.matrices(confused, rows=list(RANGES), columns=range(10), xlabel="read as", ylabel="angle", across=2,
                        cell=(0.36, 0.3))  # fmt: skip
told = "What drawings of '4' and '9' are read as, in percent, by range of angles."
run.figure("read_as", figure, caption=told, n=LEAST)

# %% [markdown]
# The top row of each panel has its weight in its own digit. Further down it spreads: over which digits tells what the
# decoder knows at those angles. For '9' look at the columns 0, 1 and 7, which the article names; and at the same
# columns of the top row, for a blurred '9' can be taken for them at angles that were trained, too.

# %%
named = {model: [100 * row[[0, 1, 7]].sum() for row in read_as(model, 9)] for model in SHORT}
pd.DataFrame(named, RANGES).round(1).rename_axis("percent of '9' read as 0, 1 or 7")

# %% [markdown]
# ## Is it memory?
#
# The article concludes that the model "mostly memorizes". A strong form of that would be: a drawing at an angle where
# its digit was never seen is a copy of something that *was* seen at that angle. So the training images that may be seen
# at the angle are turned by it, and the nearest one to each drawing is found.

# %%
GROUPS = ["'4'", "'9'", "the other eight"]
WHAT = ["to the nearest seen", "to the expected", "nearer to the seen"]
WHERE = [f"at {rotating.NEAR:g}°, seen", f"at {rotating.FAR:g}°, unseen for '4' and '9'"]
main = networks[networks["model"] == VANILLA]
table = pd.concat({
    name: pd.DataFrame(np.stack(main[column]).mean(0), GROUPS, WHAT)
    for name, column in zip(WHERE, ("near", "far"), strict=True)
})  # fmt: skip
run.table("nearest", table.rename_axis(["angle", "digit"]), caption="Distances of vanilla drawings per pixel.").round(3)

# %%
place = rotating.PICTURED.index(rotating.FAR)
seen = firsts.loc[VANILLA, "nearest"]
rows = {}
for number, copies in zip(rotating.HELD_BACK, seen, strict=True):
    drawn = firsts.loc[VANILLA, "drawings"][rotating.GRID.index(number), :, place]
    rows[f"'{number}'"] = np.stack([WANTED[number][:, place], drawn, copies])[:, :8]
figure = plots.tiles(rows, rows=["expected", "drawn", "nearest seen"], scale=2, across=2)
run.figure("copies", figure, caption="Drawings far outside the trained range, and the nearest image seen.", n=1)

# %% [markdown]
# In the table, a drawing that is nearer to something seen than to what was expected speaks for memory; compare '4' and
# '9' far out with themselves near, and with the digits that were seen everywhere. In the picture, see whether the
# drawing has the class, or also the very strokes, of its neighbour: a decoder that falls back on *kinds* of strokes it
# knows at this angle is not one that has stored images.
#
# ## How to tell an angle
#
# The article gives the angle as cosine and sine and calls it the best way; no comparison is published. Here is one: the
# mirrored vanilla model told the angle as a single number, the angle over 180°.

# %%
coding = plain[plain["model"].isin((MIRRORED, RAW)) & plain["angle"].isin(DEGREES[COLUMNS["all"]])]
coding = coding.assign(told=coding["model"].map({MIRRORED: "cos, sin", RAW: "angle / 180"}))
figure = plots.by_pose(coding, "angle", "curve", hue="told", bold=("cos, sin", "angle / 180"), ticks=TICKS,
                       **PER_PIXEL)  # fmt: skip
run.figure("coding", figure, caption="Error of the eight digits seen at all angles, by how the angle is told.")

# %% [markdown]
# Cosine and sine have no seam. A single number has one at ±180°, where neighbouring images have the two most distant
# numbers, and it makes the decoder build its own circle. See whether the line for the raw angle lies above everywhere
# or rises at its ends only.
#
# ## Better generators?
#
# A decoder becomes a generator if one knows which codes to give it. The critic exists to make the codes of digits look
# like uniform numbers in [−1, 1]; did it?

# %%
values = firsts.reset_index()[["model", "codes"]]
values = tables.unroll(values, "codes", image=range(len(firsts["codes"].iloc[0])), component=range(10))
values = values.rename(columns={"codes": "value"})
codes = {name: part[["component", "value"]] for name, part in of(values, VANILLA, CODED, CORRECTED).items()}
pooled = values[values["model"].isin(codes)].sort_values("model", key=lambda names: names.map(order), kind="stable")
figure = plots.histograms({"": pooled[["model", "value"]]}, bins=40, size=(5.2, 2.9))
run.figure("codes", figure, caption="Histogram of the components of test codes, one network of each model.", n=1)


# %%
def from_prior(values):
    """Kolmogorov-Smirnov distance of values from the uniform distribution on [-1, 1]."""
    return stats.kstest(values, stats.uniform(-1, 2).cdf).statistic


fit = {
    name: dict(
        inside=part["value"].abs().le(1).mean(),
        spread=part["value"].std(),
        distance=part.groupby("component")["value"].agg(from_prior).max(),
    )
    for name, part in codes.items()
}
pd.DataFrame(fit).T.round(2)

# %% [markdown]
# *inside*: the share of components in [−1, 1]; *spread*: their standard deviation (that of the prior is 0.58);
# *distance*: the largest Kolmogorov-Smirnov distance of a component from the prior. A vanilla code is free to be of any
# size; the outermost bins of the histogram hold what lies beyond them. Then the samples: codes drawn from the prior,
# or, as the vanilla model has none, from the range of each component of its codes.

# %%
sampled = {name: firsts.loc[name, "random"][:, :6] for name in (VANILLA, CODED, CORRECTED)}
figure = plots.tiles(sampled, rows=[f"{angle:g}°" for angle in rotating.SAMPLED], scale=2, shades=8)
run.figure("samples", figure, caption="Drawings of random codes at 0, 90 and 180 degrees.", n=1)

# %%
confidence = networks[["model", "seed", "sure", "sure_drawn"]]
confidence = confidence.rename(columns={"sure": "random codes", "sure_drawn": "codes of test digits"})
confidence.groupby("model", sort=False)[["random codes", "codes of test digits"]].mean().round(3)

# %% [markdown]
# The three rows of a panel show one code each per column, turned. Are they digits? The table gives the classifier's
# mean confidence in drawings at 0°: a generator is the better the nearer random codes come to codes of real digits.
# (A classifier can be confident about a smooth blot too; look at the pictures as well.)
#
# ## Turn it yourself


# %%
def turn(angle, digit, image):
    """A digit, what is expected of it, and the answers of both models."""
    place = rotating.PICTURED.index(float(angle))
    upright = WANTED[digit][image, rotating.PICTURED.index(0.0)]
    shown = np.stack([upright, *(row[place] for row in answers(digit, image, (VANILLA, CODED)))])
    return [plots.tiles({f"'{digit}' at {angle}°": shown[:, None]}, rows=["seen", "expected", VANILLA, CODED], scale=3)]


widgets.explore(
    turn, angle=[int(angle) for angle in rotating.PICTURED], digit=rotating.GRID, image=range(scale.pictures)
)

# %% [markdown]
# ## The claims
#
# First what the networks are, at full size.


# %%
# NBVAL_CHECK_OUTPUT
def weights(net):
    return sum(part.numel() for part in net.parameters())


whole = {model: rotating.build(model, seed=0) for model in (VANILLA, CODED)}
net = whole[CODED]
encoder = sum(weights(getattr(net, layer)) for layer in ("conv1", "conv2", "dense1", "to_code"))
SETUP = {
    "ae_rot.kernel": net.conv1.kernel_size[0],
    "ae_rot.stride": net.conv1.stride[0],
    "ae_rot.dense_units": net.dense1.out_features,
    "ae_rot.code_size": net.to_code.out_features,
    "ae_rot.decoder_inputs": net.dense2.in_features,
    "x.ae_rot.encoder_parameters": encoder,
    "x.ae_rot.adv.parameters": weights(net),
    "x.ae_rot.adv.critic_parameters": weights(models.Critic(seed=0)),
    "x.ae_rot.vanilla.parameters": weights(whole[VANILLA]),
}
SETUP

# %%
for name, value in SETUP.items():
    run.claim(f"invariants.{name}", value)
run.claim("invariants.ae_rot.encoder_maps", f"{net.conv1.out_channels}-{net.conv2.out_channels}")

# %% [markdown]
# The scores, row by row; for each of the two published models the faithful version and the other one.

# %%
VERSIONS = {
    "vanilla": {"faithful": VANILLA, "mirrored": MIRRORED},
    "adv": {"faithful": CODED, "corrected": CORRECTED},
}
by_digit = {key: part.sort_values("seed") for key, part in scores.groupby(["model", "digit"])}
for row in claims.registry(run.section).values():
    if row.kind == "value":
        *_, model, digit, column = row.id.split(".")
        for variant, name in VERSIONS[model].items():
            run.claim(row.id, by_digit[name, digit][column], variant=variant)

# %% [markdown]
# The statements about one model; the other models are tried too.

# %%
STATED = "invariants.ae_rot.claim."
TRIED = {"faithful": VANILLA, "mirrored": MIRRORED, "adversarial": CODED}
for variant, name in TRIED.items():
    four, nine, eight = (by_digit[name, digit] for digit in NAMES)
    run.claim(f"{STATED}known", eight["all"], variant=variant)
    run.claim(f"{STATED}err9", nine["ratio"], variant=variant)
    run.claim(f"{STATED}err9.order", nine[["out", "in"]], variant=variant)
    run.claim(f"{STATED}err4", four["ratio"], variant=variant)
    run.claim(f"{STATED}err4.order", np.stack([four["out"], nine["out"]], 1), variant=variant)
    run.claim(f"{STATED}peaks", eight[["sharp", "all"]], variant=variant)

# %% [markdown]
# What the classifier reads:

# %%
near, beyond, last = np.abs(LOOKED) <= 45, np.abs(LOOKED) > 45, np.abs(LOOKED) > 135


def share(name, number, where, reads):
    """Share of drawings of a digit that are read as one of some digits, one value per network."""
    counts = np.stack(networks.loc[networks["model"] == name, "read"]).astype(float)[:, where, number].sum(1)
    return counts[:, reads].sum(1) / counts.sum(1)


for variant, name in TRIED.items():
    wrong = [1 - share(name, 4, where, [4]) for where in (last, near)]
    run.claim(f"{STATED}four", np.stack(wrong, 1), variant=variant)
    right = [share(name, number, last, [number]) for number in (9, 4)]
    run.claim(f"{STATED}nine", np.stack(right, 1), variant=variant)
    run.claim(f"{STATED}nine.other", share(name, 9, beyond, [0, 1, 7]), variant=variant)

# %% [markdown]
# And one model against another, seed by seed:


# %%
def paired(values, higher, lower):
    """Values of two models in the seeds that both have."""
    return pd.concat([values[higher], values[lower]], axis=1, join="inner").to_numpy()


sure = networks.set_index(["model", "seed"])["sure"]
for variant, name in {"mirrored": MIRRORED, "faithful": VANILLA}.items():
    run.claim(f"{STATED}adv_worse.document", paired(error, name, CODED), variant=variant)
    run.claim(f"{STATED}adv_worse.code", paired(error, CODED, name), variant=variant)
    run.claim(f"{STATED}adv_worse.generator", paired(sure, CODED, name), variant=variant)
run.claim(f"{STATED}adv_worse.generator", paired(sure, CORRECTED, MIRRORED), variant="corrected")
run.claim(f"{STATED}sincos", paired(error, RAW, MIRRORED))

# %%
run.finish()

# %% [markdown]
# ## What to try next
#
# - `make figures ONLY=invariants/rotating_autoencoder SCALE="steps=20000 seeds=1"`: the floor falls with training; does
#   the shoulder of '4' fall with it?
# - `notebooks/invariants/wider_codes.py`: the authors' own later run with 128 numbers in the code, which takes away
#   most of the failure shown here.
# - Hold back '6' as well: does '9' then fail as '4' does? Change `HELD_BACK` in `companion/invariance/poses.py`.
# - Tell the decoder more harmonics (cosine and sine of twice the angle, and so on): does the rise get steeper?
