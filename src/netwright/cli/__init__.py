"""The `netwright` command; each command imports what it needs when it runs."""


def main() -> None:
    """Entry point of the `netwright` program."""
    raise SystemExit(2)
