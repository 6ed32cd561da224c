"""The command `catdog`, also as `python -m catdog`."""

from importlib import import_module

from catdog.entry.packages import claim


def main() -> None:
    """Run the command line."""
    claim()
    import_module("flows.cli.app").main()


if __name__ == "__main__":
    main()
