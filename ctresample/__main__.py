"""``python -m ctresample``: the command line, where the program itself is not on the path."""

from ctresample.cli import main

if __name__ == "__main__":
    main()
