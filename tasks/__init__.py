"""The thin typed edges between Prefect and catdog: what is cached, named and logged."""
