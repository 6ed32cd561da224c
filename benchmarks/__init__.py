"""Our speed and accuracy against the notebook's own way, repeatable by anyone."""
