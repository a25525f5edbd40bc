"""Learning from few labels: features of frozen networks, heads fitted in closed loops, a choice by honest folds."""
