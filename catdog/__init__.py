"""catdog: train image classifiers as one repeatable pipeline."""
