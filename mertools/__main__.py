"""`python -m mertools` is `mer`."""

from mertools.cli.app import main

if __name__ == "__main__":
    main()
