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
# # What the authors tried next: wider codes, capsules that say where, computed weights
#
# *Can Deep Networks Learn Invariants?* (A. Potapov), sec. Generation, and the authors' repository
# (`baseline/autoencoders2`, `gencaps_net`, `hypernets`), whose later experiments are in no text of theirs.
#
# **Claimed.** The article: a decoder that is told a pose draws '4' and '9' badly where it was not trained on them; it
# "mostly memorizes". The repository: with a code of 128 numbers in place of 10 most of that failure is gone; capsules
# with explicit places carry a shift over to '4' and '9' completely; a matrix computed from the angle turns any image.
#
# **Time on two cores.** smoke: seconds; laptop: two minutes; paper (full layers, 100,000 iterations of
# 128): hours on a GPU. The laptop run has an eighth of the width and a hundredth to a twentieth of the iterations, in
# quarter batches or less, tests 30 images of each digit, and leaves some networks out. Its digits are blurred: it shows
# where each network fails and what the second-order ones do, not how good they get, and therefore not yet what a wide
# code is worth in the end.

# %% tags=["parameters"]
profile = "auto"  # smoke, laptop, paper; auto asks the machine
device = "auto"  # cpu, cuda
seed = 0  # the first of the seeds

# %%
import functools

import numpy as np
import pandas as pd
import seaborn
import torch
from IPython.display import Markdown

from companion import claims, data, models, plots, tables, widgets
from companion.invariance import follow_ups, regions
from companion.invariance.other_poses import AffineMaps
from companion.invariance.poses import scaled
from companion.run import Run
from companion.seeds import generator

# %%
run = Run("invariants/wider_codes", profile=profile, device=device, seed=seed)
scale = run.scale(
    smoke=dict(width=1 / 32, side=8, batch=8, shift_batch=8, steps=4, code_steps=4, shift_steps=4, address_steps=4,
               lr=1e-3, tests=2, every=5, code_seeds=(1, 1), capsule_seeds=1, matrix_seeds=1, address_seeds=1,
               other_seeds=1, codes=(2, 128), ranges=("ae_z20_single", "ae_half"), capsules=("gc_digits_r49",),
               capsules_shifted=(), plain_shifted=("ae_shift",), matrices=("hn_simple", "hn_simple_all"),
               undone=("hn_comp_conv", "hn_comp_base"), mapped=("hn_affine_conv", "hn_affine_base")),
    laptop=dict(width=1 / 8, side=14, batch=32, shift_batch=16, steps=1_000, code_steps=3_000, shift_steps=2_400,
                address_steps=1_500, lr=2e-3, tests=30, every=5, code_seeds=(3, 3), capsule_seeds=1, matrix_seeds=1,
                address_seeds=3, other_seeds=1, codes=(10, 128), ranges=("ae_z20_single", "ae_half"),
                capsules=("gc_digits_r49",), capsules_shifted=(), plain_shifted=("ae_shift",),
                matrices=("hn_simple", "hn_simple_all"), undone=(), mapped=()),
    paper=dict(width=1.0, side=28, batch=128, shift_batch=128, steps=100_000, code_steps=100_000, shift_steps=100_000,
               address_steps=100_000, lr=1e-3, tests=None, every=1, code_seeds=(5, 3, 3, 3, 3, 5), capsule_seeds=5,
               matrix_seeds=3, address_seeds=3, other_seeds=3, codes=follow_ups.CODES,
               ranges=("ae_z20_single", "ae_half"), capsules_shifted=("gc_digits_s49",),
               capsules=("gc_addr_r49", "gc_digits_r49", "gc_cont_rs49", "gc_digits_rs49", "gc_cont_half"),
               plain_shifted=("ae_shift", "ae_halfshift"), matrices=("hn_simple", "hn_simple_all"),
               undone=("hn_comp_conv", "hn_comp_base"), mapped=("hn_affine_conv", "hn_affine_base")),
)  # fmt: skip

# %% [markdown]
# At paper scale a training takes minutes on a GPU, and the seeds are five for every network that has scores to be set
# beside, three for the codes between and for the networks of second order: ten hours in all, by estimate. An output of
# narrow layers moves less in a step, so the laptop run has a larger rate for narrowed autoencoders.
#
# ## The experiments
#
# One unit is one network, trained on upright digits and drawn poses and tested on the poses of the authors' curves: 200
# turns, or 20 shifts along the diagonal. Names are those of the repository's folders, shortened:

# %%
NAMES = {
    "ae_z…": "the article's autoencoder with a code of … numbers",
    "ae_z20_single": "code 20; '4' and '9' at 18° only",
    "ae_half": "all digits within ±90° only",
    "ae_halfshift": "all digits shifted by −10 to 9 only",
    "ae_shift": "the article's shifting autoencoder, to compare with",
    "gc_addr_…": "capsules that write by learned keys",
    "gc_digits_…": "20 capsules mixed by ten soft categories",
    "gc_cont_…": "128 capsules that write at coordinates",
    "…_r49, …_s49": "turns (±45°) or shifts (−5 to 4); '4' and '9' held back to these",
    "…_rs49, …_half": "'4' and '9' at 18° only; all digits within ±90° only",
    "hn_…": "networks of second order",
}
pd.DataFrame({"what": NAMES})


# %%
def follow_up(name, steps, batch, lr, seed, checkpoint=None):
    return follow_ups.study(
        name, seed=seed, width=scale.width, side=scale.side, steps=steps, batch=batch, lr=lr, tests=scale.tests,
        every=scale.every, checkpoint=checkpoint,
    )  # fmt: skip


def points(names, seeds, steps=scale.steps, lr=1e-3, batch=scale.batch):
    settings = dict(steps=steps, batch=batch, lr=lr)
    return [dict(name=name, seed=one) | settings for name in names for one in run.seeds(seeds)]


# %%
ANGLES, SHIFTS = follow_ups.ANGLES[:: scale.every], follow_ups.SHIFTS
DIGITS = {"d4": "'4'", "d9": "'9'", "o8": "the other eight"}


def curve(table, **poses):
    """Errors by pose, of '4', '9' and the mean of the others, one row per network and pose."""
    long = tables.unroll(table.drop(columns="drawn"), "errors", **poses, digit=range(10))
    long["shown"] = long["digit"].map({4: "'4'", 9: "'9'"}).fillna("the other eight")
    long = long.groupby(["name", "seed", "shown", *poses], sort=False, as_index=False)["errors"].mean()
    long = long.sort_values("shown", kind="stable")
    return long[long["angle"] % 90 != 0] if "angle" in poses else long  # there targets are sharp


# %%
def trained(name):
    """The range of poses of '4' and '9' in training, wide enough to be seen."""
    low, high = follow_ups.DESIGNS[name].poses.within
    return (low - 2, high + 2) if low == high else (low, high)


def by_network(figure_name, table, caption):
    """One panel of error curves for each network, its trained range shaded and its number of seeds above."""
    if table.empty:
        return Markdown("*Not run at this scale.*")
    seeds = table.groupby("name")["seed"].nunique()
    parts = dict(list(curve(table, angle=ANGLES).groupby("name", sort=False)))
    draw = functools.partial(plots.curves, x="angle", y="errors", hue="shown")
    titled = {f"{name}, n = {seeds[name]}": part for name, part in parts.items()}
    figure = plots.panels(
        titled, draw, size=(2.7, 2.6), xlabel="angle (degrees)", ylabel="mean squared error per pixel"
    )
    for ax, name in zip(figure.axes, parts, strict=False):
        ax.axvspan(*trained(name), color="0.93", zorder=0)
    return run.figure(figure_name, figure, caption=caption, n=seeds.min())


# %%
def drawn(table, name, digit):
    """Pictures of the first network of a name."""
    return table[table["name"] == name]["drawn"].iloc[0][follow_ups.SHOWN.index(digit)]


def fours(figure_name, table, side=28, every=2):
    """The first test '4' in turns, expected and as each network draws it."""
    rows = {"expected": follow_ups.expected_pictures("turns", side)[0]}
    rows |= {name: drawn(table, name, 4) for name in table["name"].unique()}
    caption = f"A test '4' turned by -180 degrees and on in steps of {18 * every}: expected, and as it is drawn."
    figure = plots.images({name: row[::every] for name, row in rows.items()}, size=0.42 if every == 1 else 0.46)
    return run.figure(figure_name, figure, caption=caption, n=1)


def beside(figure):
    """Put the legend beside the axes."""
    seaborn.move_legend(figure.axes[0], "upper left", bbox_to_anchor=(1.0, 1.0), fontsize=8, title_fontsize=8)
    return figure


# %% [markdown]
# ## How many numbers does a digit need?
#
# The article's decoder gets ten numbers for a digit and two for its turn. Everything a '4' has of its own must pass
# through those ten; if they cannot hold it, no decoder could turn it rightly. So: the same autoencoder with codes of
# other sizes, '4' and '9' within ±45° in training, the others all the way round.


# %%
sizes = [f"ae_z{code}" for code in scale.codes]
wider = [
    point
    for name, seeds in zip(sizes, scale.code_seeds, strict=True)
    for point in points([name], seeds, scale.code_steps, scale.lr)
]
codes = run.sweep(follow_up, wider, name="codes")
LEAST = min(scale.code_seeds)  # of the codes between, at paper scale
fours("codes_drawn", codes)

# %% [markdown]
# From the left, −180° to 144° in steps of 36°. Three in the middle (−36°, 0°, 36°) are orientations in which 4s were
# seen in training. Do the others keep the open top of a '4', or do they close to a loop?

# %%
by_angle = curve(codes, angle=ANGLES)
by_angle["code"] = by_angle["name"].str.removeprefix("ae_z").astype(int)
parts = {digit: by_angle[by_angle["shown"] == digit] for digit in DIGITS.values()}
draw = functools.partial(plots.curves, x="angle", y="errors", hue="code")
figure = plots.panels(parts, draw, size=(2.7, 2.6), xlabel="angle (degrees)", ylabel="mean squared error per pixel")
for ax in figure.axes:
    ax.axvspan(-45, 45, color="0.93", zorder=0)
run.figure("codes_angle", figure, caption="Error by angle and code size; shaded, where '4' was seen.", n=LEAST)

# %% [markdown]
# Left and middle: inside the shaded range more numbers mean less error; outside every curve rises. Right, a digit that
# was seen all the way round: flat. (Multiples of 90° are left out, here and in all means: there the target is not
# interpolated and sharper, and every network has a peak.) The question is which falls faster with the code, the floor
# or the shoulders.

# %%
found = regions.by_region(codes, scale.every)
found["code"] = found["name"].str.removeprefix("ae_z").astype(int)


def reported(identifier):
    """What the repository reports, or NaN."""
    return claims.reported(f"invariants.x.{identifier}")


lines = {f"authors, {DIGITS[digit]}, 128": reported(f"ext.ae_z128.{digit}.ratio") for digit in ("d4", "d9")}
lines["authors, '4', 10"] = reported("ae_rot.vanilla.d4.ratio")

# %%
shown = found[found["digit"].isin(DIGITS)].replace({"digit": DIGITS})
figure = plots.curves(shown, "code", "ratio", hue="digit", log_x=True, reported=lines, xlabel="numbers in the code",
                      ylabel="error beyond ±45° / within")  # fmt: skip
told = "Ratio of the error outside to that inside the trained range, by code size."
run.figure("codes_ratio", beside(figure), caption=told, n=LEAST)

# %% [markdown]
# Red: the authors' ratios for '4' and '9' with 128 numbers, and for '4' with 10. A ratio of 1 would be a network that
# does not care where it was trained. Note what a ratio can hide: it falls when the outside gets better, but it *rises*
# when only the inside does. Hence both, for '4' and for the digits that were seen everywhere:

# %%
long = shown[shown["digit"] != "'9'"].melt(["code", "seed", "digit"], ["in", "out"], "where", "error")
long["which"] = long["digit"] + long["where"].map({"in": ", within ±45°", "out": ", beyond"})
figure = plots.curves(long, "code", "error", hue="which", log_x=True, log=True, xlabel="numbers in the code",
                      ylabel="mean squared error per pixel")  # fmt: skip
told = "Error within and beyond the trained range by code size."
run.figure("codes_error", beside(figure), caption=told, n=LEAST)

# %%
told = "Error within and beyond the trained range of '4' and '9', by code size, mean over seeds."
summary = tables.summarise(shown, ["in", "out", "far", "ratio"], ["code", "digit"])
run.table("codes", summary, caption=told)
wide = summary.pivot_table(index=["code", "digit"], columns="quantity", values="mean", sort=False)
wide.round(3)


# %% [markdown]
# How much of its error does each digit lose from ten numbers to the most, seed by seed?

# %%
few, many = 10 if 10 in scale.codes else min(scale.codes), max(scale.codes)
both = shown.pivot_table(index=["seed", "digit"], columns="code", values=["in", "out"])
saved = pd.DataFrame({where: 1 - both[where][many] / both[where][few] for where in ("in", "out")}).dropna()
gains = tables.summarise(saved.reset_index(), ["in", "out"], "digit").drop(columns="sd")
told = "Share of the error that the widest code saves against ten numbers, within and beyond the trained range."
run.table("saved", gains, caption=told).round(2)


# %%
def excess(code, digit="d4"):
    """How much worse than the others a digit is beyond its range, in units of the others' error: one value per seed."""
    part = found[found["code"] == code].pivot_table(index="seed", columns="digit", values="out")
    return (part[digit] / part["o8"]).mean()


narrow, wide_code = "ae_rot.vanilla", "ext.ae_z128"
Markdown(
    "Beyond its range '4' has the error of the other digits times: "
    + "; ".join(f"**{excess(code):.2f}** (code {code})" for code in scale.codes)
    + f". In the authors' scores: {reported(f'{narrow}.d4.out') / reported(f'{narrow}.o8.out'):.2f} (code 10: "
    + f"{reported(f'{narrow}.d4.out'):.4f} against {reported(f'{narrow}.o8.out'):.4f}), "
    + f"{reported(f'{wide_code}.d4.out') / reported(f'{wide_code}.o8.out'):.2f} (code 128: "
    + f"{reported(f'{wide_code}.d4.out'):.4f} against {reported(f'{wide_code}.o8.out'):.4f})."
)

# %% [markdown]
# **What this does to the article's conclusion.** "The model mostly memorizes how should look different digits rotated
# by different angles" was drawn from codes of ten numbers. In the authors' own later scores, a '4' at angles where no
# '4' was seen has, with the wide code, *less* error than the digits that were seen everywhere have with the narrow one:
# the decoder turns what it has never seen turned. A gap to the other digits remains, so "does not turn perfectly" is
# safe to say; that it "mostly memorizes" is not. It takes training, though: the table above says how much of this a run
# of the present length shows. The ratio falls only if more is saved beyond the range than within.
#
# ## Part of the range
#
# Two ways of showing less. *Single*: '4' and '9' at exactly 18°, the others all the way round. *Half*: all digits
# within ±90°, so that nobody ever shows what a digit on its head looks like.

# %%
turning = points(["hn_address"], scale.address_seeds, scale.address_steps)  # one sweep for all that turn
turning += points(scale.ranges, scale.capsule_seeds, lr=scale.lr) + points(scale.capsules, scale.capsule_seeds)
turning += points(scale.undone, scale.other_seeds)
turned = run.sweep(follow_up, turning, name="turned")


def among(names):
    return turned[turned["name"].isin(names)]


by_network("ranges", among(scale.ranges), "Error by angle where part of the range is trained (shaded).")

# %% [markdown]
# `single`: the error of '4' is least at 18° and rises steeply to *both* sides of it: at 0°, next to the only angle at
# which it was ever seen, it is no better off than far away. A neighbouring angle is no help by itself; what helps is
# what other digits have shown at an angle. Where nobody has shown anything (`half`) the error is several times
# larger than within, for all digits.

# %%
fours("ranges_drawn", among(scale.ranges))

# %% [markdown]
# ## Capsules that say where
#
# The article explains the failure to shift: each place of the feature map has weights of its own. The authors then
# built decoders in which *where* and *what* are told apart: a dense net gives capsules coordinates and activations,
# the activations are written at the coordinates, and the (convolutional) rest draws. One capsule, written to a map of
# seven cells a side, between cells and at a corner:

# %%
written = models.generative_capsules.splat(torch.tensor([[[2.5, 2.25], [6.0, 6.0]]]), torch.tensor([[[1.0], [1.0]]]), 7)
cells = written[0, 0].where(written[0, 0] > 0, torch.nan).numpy()
figure = plots.matrices({"what is written": cells}, rows=range(7), columns=range(7))
run.figure("splat", figure, caption="Two capsules of activation one, written bilinearly to a map of 7 x 7.", n=0)

# %%
settings = dict(steps=scale.shift_steps, batch=scale.shift_batch)
shifting = points(["gc_cont_s49", *scale.capsules_shifted], scale.capsule_seeds, **settings)
shifting += points(scale.plain_shifted, scale.capsule_seeds, lr=scale.lr, **settings)
shifted = run.sweep(follow_up, shifting, name="shifted")
long = curve(shifted, shift=SHIFTS)
long = long[long["name"] != "ae_halfshift"]
parts = {digit: long[long["shown"] == digit] for digit in DIGITS.values()}
draw = functools.partial(plots.curves, x="shift", y="errors", hue="name", log=True)
figure = plots.panels(
    parts, draw, size=(2.7, 2.6), xlabel="shift along the diagonal (pixels)", ylabel="error per pixel"
)
for ax in figure.axes:
    ax.axvspan(-5, 4, color="0.93", zorder=0)
told = "Error by diagonal shift; shaded, where '4' and '9' were shifted in training."
run.figure("shifted", figure, caption=told, n=scale.capsule_seeds)

# %% [markdown]
# Compare the *shape* of the lines, not their height: the dense decoder (`ae_shift`) has a trough in the shaded range
# for '4' and '9', and a shallow one or none for the others; the capsules have about the same line for all three. All
# rise towards the ends, for every digit: the corners of the canvas are reached least often. (A zigzag, where there is
# one, has the period of the map's cells, four pixels.)

# %%
rows = {"expected": follow_ups.expected_pictures("shifts")[0]}
rows |= {name: drawn(shifted, name, 4) for name in shifted["name"].unique()}
told = "The first test '4' shifted along the diagonal by -20 to 16 pixels in steps of 4: expected and drawn."
run.figure("shifted_drawn", plots.images(rows, size=0.7), caption=told, n=1)

# %% [markdown]
# (The fifth to the seventh picture lie in the shaded range.) Short trainings teach the capsules *where* before they
# teach *what*: at laptop scale they put a patch rather than a digit, but they put it alike at all shifts, while the
# dense decoder already draws a '4' within its range, and something else at the right place beyond.
#
# Turns are another matter: a capsule can carry a stroke to another place, but there the stroke must lie at another
# angle, and that is still up to the dense net.

# %%
fours("capsules_drawn", among(scale.capsules))

# %% [markdown]
# ## Computed weights
#
# A network of *second order* has weights that another net computes from the pose. In the simplest, the image is
# multiplied by a matrix (every pixel drawn is a weighted mean of the pixels given) that depends on cosine and sine
# only. It cannot treat a '4' otherwise than a '7': what it learns from the other digits holds for all images. It was
# trained at multiples of 36° ('4' and '9': at multiples of 9° within ±45°), and once more at all angles.

# %%
matrices = run.sweep(follow_up, points(scale.matrices, scale.matrix_seeds), name="matrices")
second = pd.concat([matrices, among(["hn_address"])], ignore_index=True)
told = "Error by angle of second-order networks; shaded, the range of '4' and '9'."
by_network("second_order", second, told)

# %% [markdown]
# `hn_simple` has a comb: low at the multiples of 36°, high halfway between. It has learned ten matrices, and what it
# does between is no turn. Within ±45°, where '4' and '9' were shown every 9°, the comb is finer *for all digits*: what
# is learned from one is there for the others, and '4' and '9' beyond ±45° are drawn as well as anything. Trained at all
# angles (`hn_simple_all`) the comb goes; a trough within ±45°, where there is one, is again one for
# all digits: more of the training happened there. `hn_address` is less impartial: it moves features to other cells, but
# convolutions that are not told the angle must then draw strokes that point another way.

# %%
fours("matrices_drawn", matrices, side=matrices["drawn"].iloc[0].shape[-1], every=1)

# %%
fours("address_drawn", among(["hn_address"]))


# %%
def by_36(table, name, *parts, digit=4):
    """Mean error of a digit at multiples of 36 degrees and between them: (seeds, parts)."""
    errors = np.stack(table[table["name"] == name]["errors"])[:, :, digit].astype(float)
    steps = regions.steps_of_36(scale.every)
    return np.stack([errors[:, steps[part]].mean(1) for part in parts], 1)


combs = {name: by_36(second, name, "in", "out", "between").mean(0) for name in second["name"].unique()}
comb = pd.DataFrame(combs, index=["±36°", "beyond, at multiples of 36°", "halfway between"]).T
run.table("comb", comb.rename_axis("network").reset_index(), caption="Error of '4' at trained steps and between them.")

# %% [markdown]
# ## Undoing a turn, and affine maps
#
# The opposite task: a digit in an unknown orientation is given, the upright one is wanted; the matrix, now in the
# middle of an autoencoder, is computed from the image itself. And affine maps, told by six numbers, where no digit is
# held back: that is a test of drawing, not of generalising over digits.

# %%
undone = among(scale.undone)
told = "Error of the restored upright digit by the angle that it was given at."
by_network("undone", undone, told)

# %%
mapped = pd.DataFrame(columns=["name", "seed", "errors", "left", "drawn"])
if scale.mapped:
    mapped = run.sweep(follow_up, points(scale.mapped, scale.other_seeds), name="mapped")
mapped["share"] = [row.errors.mean() / row.left.mean() for row in mapped.itertuples()]


def maps_drawn():
    """One digit of each kind: given, wanted and as each network draws it."""
    if mapped.empty:
        return Markdown("*Not run at this scale.*")
    rows = dict(zip(["given", "wanted"], mapped["drawn"].iloc[0][:2], strict=True))
    rows |= {name: part["drawn"].iloc[0][2] for name, part in mapped.groupby("name", sort=False)}
    told = "One test image of each digit under a random affine map: given, wanted, drawn."
    return run.figure("affine_drawn", plots.images(rows, size=0.6), caption=told, n=1)


maps_drawn()

# %% [markdown]
# "Its error is less than half of that of leaving the image as it is" is our reading of pictures without a score. How
# hard is that? A canvas that stays *blank* has, in units of the error of leaving the image:

# %%
upright = scaled(follow_ups.first_of_each(data.mnist("test"), 50).inputs)
maps = AffineMaps()
wanted = maps.apply(upright, maps.draw(torch.arange(len(upright)), generator(seed, "points")))
blank, left = ((answer - wanted).square().mean().item() for answer in (-torch.ones_like(wanted), upright))
lines = [f"a blank canvas **{blank / left:.2f}**"]
lines += [f"`{name}` **{part['share'].mean():.2f}**" for name, part in mapped.groupby("name", sort=False)]
Markdown("; ".join(lines))

# %% [markdown]
# So the threshold asks for little more than nothing; look at the pictures.
#
# ## Pictures that prove nothing
#
# Three of the repository's sets of pictures for these networks cannot be used as evidence:
#
# - the folders *all angles* and *discrete angles* of `hn_simple` hold the same files, byte for byte; both show the
#   comb. What a training on all angles looks like is `hn_simple_all` above;
# - the baseline's pictures, beside the second-order ones, are copies of those of the article's adversarial autoencoder;
# - the picture of the *basic* network that undoes a turn (a pixel matrix computed from the image: 301.8 million
#   weights) was made by a script that forgets to multiply by 180. It turned its inputs by one degree at most:

# %%
share = follow_ups.DRAWN["turns"] / 180  # of half a turn, as the scripts have it
asked = {"as meant": 180 * share, "as in the script": share}
rows = {
    name: follow_ups.expected_pictures("turns", settings=torch.tensor(angles[::2], dtype=torch.float32))[0]
    for name, angles in asked.items()
}
run.figure("forgotten", plots.images(rows, size=0.46), caption="Inputs of the published test, meant and made.", n=0)

# %% [markdown]
# A network that hands its input through would have passed. We give the parameters of that network below and leave its
# training to a patient GPU (`hn_comp_basic` in `follow_ups.DESIGNS`).
#
# ## All in one table

# %%
everything = pd.concat([codes, turned, shifted, matrices], ignore_index=True)
found = regions.by_region(everything, scale.every)
AGAIN = {"ae_z10": "ae_rot.vanilla", "ae_shift": "ae_shift.vanilla"}  # their rows belong to other sections


def printed_ratio(name, digit):
    """The authors' ratio, or that of their printed errors."""
    stem = AGAIN.get(name, f"ext.{name}")
    inside, outside, ratio = (reported(f"{stem}.{digit}.{part}") for part in ("in", "out", "ratio"))
    return ratio if not np.isnan(ratio) else outside / inside


# %%
ratios = tables.summarise(found[found["digit"].isin(DIGITS)], "ratio", ["name", "digit"]).drop(columns="sd")
printed = [printed_ratio(*pair) for pair in zip(ratios["name"], ratios["digit"], strict=True)]
ratios.insert(2, "reported", printed)
told = "Error outside the trained range over that inside: reported by the repository, and reproduced."
run.table("ratios", ratios, caption=told).round(2)

# %% [markdown]
# Rows without a reported number were not scored by the authors (or, for the shifted halves, not entered as claims).
# Read the `o8` rows first: they say how much of a ratio is the poses themselves (the ends of a canvas, turns that
# nobody saw) and no fault with '4' or '9'.
#
# Choose a network and a digit ('7' was seen everywhere):

# %%
SEEN = {name: part for part in (codes, turned, matrices, shifted) for name in part["name"].unique()}
SEEN = {name: part for name, part in SEEN.items() if name not in scale.undone}


def show(network, digit):
    pictures, moves = drawn(SEEN[network], network, digit), follow_ups.DESIGNS[network].moves
    wanted = follow_ups.expected_pictures(moves, pictures.shape[-1] if moves == "turns" else 28)
    rows = {"expected": wanted[follow_ups.SHOWN.index(digit)], "drawn": pictures}
    poses = {"angle": ANGLES} if moves == "turns" else {"shift": SHIFTS}
    line = curve(SEEN[network][SEEN[network]["name"] == network], **poses)
    figure = plots.curves(line, *poses, "errors", hue="shown", ylabel="mean squared error per pixel")
    return plots.images(rows, size=0.42 if moves == "turns" else 0.7), figure


widgets.explore(show, network=list(SEEN), digit=follow_ups.SHOWN)

# %% [markdown]
# ## The claims
#
# First what the networks are. (The matrix network that sees the image is only counted: 1.2 GB of weights.)


# %%
# NBVAL_CHECK_OUTPUT
def weights(net):
    return sum(part.numel() for part in net.parameters())


SIZES = {
    "hn_simple": weights(models.PixelMatrix(seed=None)),
    "hn_address": weights(models.Readdressed(seed=0)),
    "hn_comp_basic": weights(models.PixelMatrix(seed=None, pose=0)) / 1e6,
}
SIZES

# %%
for name, size in SIZES.items():
    run.claim(f"invariants.x.ext.{name}.parameters", size)
run.claim("invariants.x.ext.hn_comp_basic", float(np.abs(share).max()))

# %% [markdown]
# The scores: all rows of networks that were run at this scale.

# %%
each = found[~found["digit"].isin(DIGITS)].groupby(["name", "seed"], as_index=False)["ratio"]
extremes = each.agg(["min", "max"]).rename(columns={"min": "ratio_min", "max": "ratio_max"}).assign(digit="o8")
found = found.merge(extremes, how="left", on=["name", "seed", "digit"])
scored = {key: part.sort_values("seed") for key, part in found.groupby(["name", "digit"])}
for row in claims.registry(run.section).values():
    *_, name, digit, column = row.id.split(".")
    if digit in DIGITS and (name, digit) in scored:
        run.claim(row.id, scored[name, digit][column])

# %% [markdown]
# Multiples of 90° are left out, as everywhere; a variant keeps them (±36° and 0° against the rest and 180°).

# %%
MOVED = "Features are moved, but convolutions that do not know the angle must draw from them."
for name in ("hn_simple", "hn_address"):
    told = dict(reason=MOVED) if name == "hn_address" else {}
    for variant, ends in (("faithful", ("in", "out")), ("with sharp targets", ("sharp in", "sharp out"))):
        inside, beyond = by_36(second, name, *ends).T
        run.claim(f"invariants.x.ext.{name}", beyond / inside, variant=variant, **told)
run.claim("invariants.x.ext.hn_simple.between", by_36(matrices, "hn_simple", "between", "at"))
inside, beyond = by_36(matrices, "hn_simple_all", "in", "out").T
run.claim("invariants.x.ext.hn_simple", beyond / inside, variant="all angles")
values = by_36(matrices, "hn_simple_all", "between", "at")
run.claim("invariants.x.ext.hn_simple.between", values, variant="all angles")

# %%
size, blurred = np.abs(ANGLES), ANGLES % 90 != 0
WHERE = {
    "hn_comp_conv": (4, blurred & (size > 55), blurred & (size <= 55)),
    "hn_comp_base": (slice(None), size == 0, np.isclose(size, 9)),
}
for name in scale.undone:
    digit, higher, lower = WHERE[name]
    errors = np.stack(undone[undone["name"] == name]["errors"]).astype(float)[..., digit]
    pair = [errors[:, part].reshape(len(errors), -1).mean(1) for part in (higher, lower)]
    run.claim(f"invariants.x.ext.{name}", np.stack(pair, 1))
for name, part in mapped.groupby("name"):
    run.claim(f"invariants.x.ext.{name}", part["share"])

# %%
run.finish()

# %% [markdown]
# ## What to try next
#
# - `make figures ONLY=invariants/wider_codes SCALE="code_steps=20000 codes=(2,10,128) code_seeds=(1,3,3)"`: how do the
#   two ratios part as training goes on, and what can two numbers hold?
# - Give the capsules of `gc_digits_r49` an angle each, by which what they write is turned.
# - Train `hn_comp_basic` with turns as meant, and test it by turns as meant.
