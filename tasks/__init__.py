"""The thin typed edges between Prefect and catdog: what a run is called, tells and shows."""
