"""`python -m netwright` is the `netwright` command."""

from netwright.cli import main

if __name__ == "__main__":
    main()
