"""How often a test photo may decide.

Who judges challenger after challenger on the same photos will promote a lucky one: of 52 equally
good ones a year, at the usual 5 %, in every fourth year or so. Therefore every test photo has an
error budget of ALPHA, and every decision that counts it spends a share of 1 / USES of that. So the
probability of a useless promotion is at most ALPHA in any USES decisions in a row, and in all
decisions that a set of photos ever serves, whatever the correlation between the models is: that is
Bonferroni's inequality, alpha spending in equal parts. Once its budget is spent, a photo counts no
more; only new test photos help. A promotion gives nothing back: the new champion owes its place to
the same photos.

Why not less strict: LOND and other rules that spend much at first leave nothing in autumn to a
weekly schedule, and for one set of photos an exact test at the level ALPHA / USES is never weaker
than an e-value that must reach USES / ALPHA. Photos are counted, not sets, so that a set that has
grown by one photo is not a new one. `benchmarks/promotions.py` simulates years of it.
"""

from catdog.comparison.over_photos import ALPHA

USES = 52
"""Decisions that a photo may serve: a year of weekly ones. Half as many would ask for one photo
less that only the challenger classifies correctly, twice as many for one more."""
LEVEL = ALPHA / USES
"""Of each one-sided test for a better model."""
