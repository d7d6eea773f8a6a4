"""`python -m mertools` is `mer`, and so is the installed program."""


def main() -> None:
    """Run `mer` with the arguments of this process."""
    # Only now: the processes that `mer` starts import this module as well, and nothing of that.
    from mertools.cli.app import main as run

    run()


if __name__ == "__main__":
    main()
