"""The wiring: the flow `catdog` and the command line that starts it."""
