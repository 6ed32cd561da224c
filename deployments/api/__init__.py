"""The champion behind HTTP. It runs where neither Prefect nor TensorFlow is installed."""
