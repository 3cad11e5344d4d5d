"""Training: one loop for every strategy, and the steps of the classifier and of the purifier."""
