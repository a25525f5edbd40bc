"""Scores of dense predictions: NumPy and SciPy functions, no model in sight.

Every file has two halves. One turns a prediction and its truth into an array of counts; counts of several images
add up. The other turns the (summed) counts into a dict of scores ready for JSON: a score that nothing was counted
for is None, never NaN.
"""
