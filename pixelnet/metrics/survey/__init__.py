"""Surveys of pixels: design-based estimates of what a map is worth, from a probability sample of it.

NumPy and SciPy alone, in four steps: `allocation` says how many samples each stratum gets; `designs` draws them, and
turns what was found at them into totals over all pixels with their variance, which rests on the draw alone and on no
model; `accuracy` and `errors` make scores of totals, and say how each sample moves a score; `bounds` makes intervals.

Shapes: N pixels, M images, H strata, n samples, K classes, Q quantities. Arrays of samples may have leading axes, of
which each entry is a survey of its own of one design: that is how a thousand surveys are simulated at once.
"""
