"""How the flow runs for others."""
