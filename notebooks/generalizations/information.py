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
# # Bits gained and lost: the divergence map
#
# *Finding Generalizations in Multi-Class Image Classifiers* (C. Richoux), section 4, "Results and discussion",
# Figure 3.
#
# **Claimed.** A Kullback-Leibler divergence tells how much a network gains on class T by not confusing class C: up to
# 0.025 bits, and as much is lost where classes clash. The map of all pairs shows patches: animals go with animals,
# vehicles with vehicles, and the two families interfere.
#
# **Time on two cores.** The networks are those of [confused_pairs](confused_pairs.ipynb) and are read back where they
# are stored; without them smoke takes seconds, laptop about three minutes, paper days (hours in 16 bits).

# %% tags=["parameters"]
profile = "auto"  # smoke, laptop, paper; auto asks the machine
device = "auto"  # cpu, cuda
seed = 0  # the first of the seeds

# %%
import functools

import numpy as np
import pandas as pd

from companion import confusion, data, plots
from companion.confusion import PAIRS, stacked
from companion.run import Run

# %%
run = Run("generalizations/information", profile=profile, device=device, seed=seed)
scale = run.scale(
    smoke=dict(images=300, scored=200, epochs=1, trials=3, arithmetic="fp32"),
    laptop=dict(images=1_600, scored=1_000, epochs=3, trials=3, arithmetic="fp32"),
    paper=dict(images=50_000, scored=10_000, epochs=10, trials=50, arithmetic="fp32"),
)
CLASSES = data.CIFAR10_CLASSES

# %% [markdown]
# ## One figure, three descriptions
#
# P[*i*, *j*] is the mean probability of class *i* for images of class *j* in networks that learned **both** T and C; Q
# the same in all networks that learned T. The paper prints a sum over classes *x* of P[*x*, T] log₂(P[*x*, T] / Q[*x*,
# T]). The sentence before it says that P is about networks where C was *wrong*; the sentence after it swaps T and C.
# And the figure has gains *and* losses, while a divergence is never negative. Four readings, of which two have signs:
#
# | name | what | sign |
# |---|---|---|
# | K1 | the formula: divergence of the mean prediction for images of T | never negative |
# | K2 | only its term *x* = T, the correct prediction | both |
# | K3 | divergence of "predicted correctly or not", as the text calls the event | never negative |
# | K4 | the formula with its two indices swapped: over true classes | both |

# %% [markdown]
# How large must an effect be to give 0.025 bits? With 60 % of the probability on T in networks that learned both, and
# less by some shift where C was lost (two ninths of all that learned T):


# %%
# NBVAL_CHECK_OUTPUT
def made_up(shift):
    """K2, K3 and K2 with the lost ones in place of P, if losing C costs T that much of its probability."""
    probability = np.full((len(PAIRS), 10, 10), 0.04)
    own = np.where(confusion.learned(3, 5)[1], 0.6 - shift, 0.6)
    probability[:, 3] = (1 - own[:, None]) / 9
    probability[:, 3, 3] = own
    both, lost = (confusion.information(probability, given=given) for given in ("both", "lost"))
    return [maps[name][3, 5] for maps, name in ((both, "K2"), (both, "K3"), (lost, "K2"))]


shifts = pd.DataFrame({f"{shift:.0%}": made_up(shift) for shift in (0.02, 0.05, 0.077, 0.2, 0.4)})
shifts.set_axis(["K2", "K3", "K2, C lost"]).round(5)

# %% [markdown]
# Eight points of probability are a credible effect of a lost class, forty are not: with K3 there is no way to 0.025.
# Of the two readings with signs, K2 is the one that follows the text, so it carries the verdicts; K4 stands beside it.
#
# ## Our networks


# %%
def confused(pair, seed, size=64):
    settings = dict(images=scale.images, scored=scale.scored, epochs=scale.epochs, arithmetic=scale.arithmetic)
    return confusion.trials(pair, seed, batch=size, **settings)


# %%
results = run.sweep(confused, pair=PAIRS, seed=run.seeds(scale.trials), batch="seed", chunk=4)


# %%
probability = stacked(results, "probability")
maps = confusion.information(probability.mean(1))

# %% [markdown]
# ## The map in the paper's layout
#
# Targets in rows, lost classes in columns, in the order of the labels; the animals are 2 to 7, framed.

# %%
is_vehicle = np.isin(np.arange(10), confusion.VEHICLES)
off = ~np.eye(10, dtype=bool)
labels = [f"{number} {name}" for number, name in enumerate(CLASSES)]
draw_maps = functools.partial(
    plots.matrices, rows=labels, columns=range(10), share=False, ylabel="target", xlabel="lost class",
    blocks=[(2, 7)], cell=(0.48, 0.32), unit="bits", places=3,
)  # fmt: skip
signed = {f"{name}: {confusion.READINGS[name]}": maps[name] for name in ("K2", "K4")}
limits = (-0.025, 0.025)
figure = draw_maps(signed, diverging=True, limits=limits)
run.figure("signed", figure, caption="Gain of each target (rows) from learning another class, in bits; K2 and K4.")

# %%
positive = {f"{name}: {confusion.READINGS[name]}": maps[name] for name in ("K1", "K3")}
figure = draw_maps(positive, places=4)
run.figure("divergences", figure, caption="The readings that are divergences, in bits; K1 and K3.")

# %% [markdown]
# The colours of the first figure end at ±0.025 bits, the range of the paper's figure. Blue: networks that learned C,
# too, are surer of T.
#
# ## How sure is a cell?
#
# Two resamplings. Of the *pairs*: would other partners of C have given another value? And of the *trials*: would the
# same pairs with other seeds?

# %%
random = np.random.default_rng(run.first_seed)
DRAWS = 400
chosen = random.integers(scale.trials, size=(DRAWS, 45, scale.trials))
by_trial = np.stack([probability[np.arange(45)[:, None], draw].mean(1) for draw in chosen])  # (draws, 45, 10, 10)
again = confusion.information(by_trial)  # by reading, (draws, 10, 10)

# %%
by_pair = np.full((10, 10), np.nan)
own = np.diagonal(probability.mean(1), axis1=1, axis2=2)  # (45, 10): mean probability of the true class
for target, lost in confusion.ORDERED:
    samples = [own[pairs, target] for pairs in confusion.learned(target, lost)]
    drawn = [random.choice(sample, (DRAWS, len(sample))).mean(1) for sample in samples]
    p, q = drawn[0], (7 * drawn[0] + 2 * drawn[1]) / 9
    by_pair[target, lost] = (p * np.log2(p / q)).std(ddof=1)

# %%
errors = pd.DataFrame({"resampled": ["pairs", "trials"]})
ratios = [abs(maps["K2"][off] / spread[off]) for spread in (by_pair, again["K2"].std(0, ddof=1))]
errors["mean standard error (bits)"] = [by_pair[off].mean(), again["K2"].std(0, ddof=1)[off].mean()]
errors["cells beyond 2 standard errors"] = [(ratio > 2).mean() for ratio in ratios]
run.table("errors", errors, caption="How sure the cells of K2 are.").round(4)

# %%
beyond = ratios[0] > 2
print(f"Cells of K2 lie between {maps['K2'][off].min():+.4f} and {maps['K2'][off].max():+.4f} bits;")
print(f"{beyond.sum()} of 90 are beyond two standard errors over pairs; chance alone gives about {0.0455 * 90:.0f}.")
top = sorted(confusion.ORDERED, key=lambda at: maps["K2"][at])
print("largest:", ", ".join(f"{CLASSES[t]} | {CLASSES[c]} {maps['K2'][t, c]:+.4f}" for t, c in top[:-4:-1]))
print("smallest:", ", ".join(f"{CLASSES[t]} | {CLASSES[c]} {maps['K2'][t, c]:+.4f}" for t, c in top[:3]))

# %% [markdown]
# Among 90 cells with errors of that size the largest and the smallest are partly luck: the largest of 90 draws of pure
# noise is about 2.5 standard errors. The next table says what would be expected if every cell were noise from the
# trials alone, for both signed readings, beside the ends of the paper's scale.

# %%
rows = []
for kind in ("K2", "K4"):
    null = random.normal(scale=again[kind].std(0, ddof=1)[off], size=(4000, 90))
    noise = dict(noise_largest=null.max(1).mean(), noise_smallest=null.min(1).mean())
    rows.append(dict(reading=kind, largest=maps[kind][off].max(), smallest=maps[kind][off].min()) | noise)
extremes = pd.DataFrame(rows).assign(paper_largest=0.025, paper_smallest=-0.025)
run.table("extremes", extremes, caption="Largest and smallest cell (bits), and what noise alone gives.").round(4)

# %% [markdown]
# A map whose ends lie where noise alone would put them says nothing about classes. More trials shrink the noise (by the
# square root of their number) and leave what is real, so compare the profiles: an effect stays where it was.

# %% [markdown]
# ## Patches?
#
# The mean over the blocks of the map, for the signed readings and for Welch's *t* on the paper's score, and the share
# of the 210 ways to call four classes "vehicles" that part the map at least as well (*p*).

# %%
blocks = {"animals": np.outer(~is_vehicle, ~is_vehicle), "vehicles": np.outer(is_vehicle, is_vehicle)}
blocks["across"] = ~blocks["animals"] & ~blocks["vehicles"]
t, _ = confusion.t_maps(stacked(results, "asked").mean(-2).mean(1))
lost = confusion.information(probability.mean(1), given="lost")["K2"]
families = pd.DataFrame(
    {f"mean, {name}": float(found[block & off].mean()) for name, block in blocks.items()}
    | dict(map=kind, contrast=confusion.category_contrast(found), p=confusion.partition_p(found))
    for kind, found in (*maps.items(), ("K2, C lost", -lost), ("t", t))
).set_index("map")
run.table("families", families, caption="Block means of each map, within less across, and the permutation p.").round(5)

# %% [markdown]
# ("K2, C lost" is the reading of the sentence before the formula; its sign is turned, so that positive is a gain of T
# in every row that has signs.)
#
# The map and the t values of the last notebook are two views of one thing. Do they agree?

# %%
agree = (np.sign(maps["K2"][off]) == np.sign(t[off])).mean()
print(f"K2 and t have the same sign in {agree:.0%} of the 90 cells; they correlate at", end=" ")
print(f"{np.corrcoef(maps['K2'][off], t[off])[0, 1]:.2f} (Spearman", end=" ")
print(f"{pd.Series(maps['K2'][off]).corr(pd.Series(t[off]), method='spearman'):.2f})")

# %% [markdown]
# Where they part, K2 looks only at images of T, while nine tenths of the score behind *t* are other images.
#
# ## Softmax alone
#
# Probabilities sum to one. A network that never learned to tell C apart spreads C's share over the others, and K2 moves
# without any change of features. So T is set against one other class *y* at a time: how sure is the network that an
# image of T is T's, if it had to choose between T and *y*? Averaged over all *y* that are neither C nor confused, and
# less what is usual for T and *y*, this cannot be moved by C's share.

# %%
inside = np.array([[c in pair for c in range(10)] for pair in PAIRS])  # (45, 10)
mean = probability.mean(1)
own = np.diagonal(mean, axis1=1, axis2=2)[..., None]
duel = own / (own + mean)  # (45, T, y)
untouched = ~(inside[:, :, None] | inside[:, None, :]) | ~off
duel = duel - duel.mean(0, where=untouched)
duels = np.full((10, 10), np.nan)
for target, lost in confusion.ORDERED:
    counted = ~inside & ~np.isin(np.arange(10), (target, lost))  # (45, y)
    sides = [duel[pairs, target].mean(1, where=counted[pairs]).mean() for pairs in confusion.learned(target, lost)]
    duels[target, lost] = sides[0] - sides[1]

# %%
print(f"{(maps['K2'][off] * duels[off] > 0).mean():.0%} of the signs of K2 stay; correlation", end=" ")
print(f"{np.corrcoef(maps['K2'][off], duels[off])[0, 1]:.2f}. Duels: within minus across", end=" ")
print(f"{confusion.category_contrast(duels):+.4f} of probability (p = {confusion.partition_p(duels):.2f}).")

# %% [markdown]
# ## The claims
#
# The largest and the smallest cell are statistics of the whole study; their intervals come from resampling the trials,
# turned about the estimate, since resampling adds noise and noise makes extremes more extreme. The statements on
# blocks are judged trial by trial: the map of each trial's 45 networks.

# %%
for name, extreme in (("max", np.nanmax), ("min", np.nanmin)):
    for kind in ("K2", "K4"):
        found, drawn = extreme(maps[kind]), extreme(again[kind], axis=(1, 2))
        low, high = 2 * found - np.quantile(drawn, [0.975, 0.025])
        run.claim(f"generalizations.kl.{name}", estimate=found, low=low, high=high, n=scale.trials, variant=kind)

# %%
trial_maps = confusion.information(probability.swapaxes(0, 1))  # of each trial by itself
for kind in ("K2", "K4"):
    each = trial_maps[kind]
    across = each[:, blocks["across"]].mean(1)
    within = each[:, ~blocks["across"] & off].mean(1)
    run.claim("generalizations.kl.patches", np.stack([within, across], axis=1), variant=kind)
    run.claim("generalizations.kl.conclusion", across, variant=kind)

# %%
run.finish()

# %% [markdown]
# ## What to try next
#
# - Average the logarithms instead of the probabilities. Which cells change their sign?
# - Compare with networks that learned *everything* (`CLEAN` in `companion.confusion`) instead of Q.
# - Draw the map for answers (`stacked(results, "answer")`) instead of probabilities. How much noisier is it?
