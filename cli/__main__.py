"""Where `cv` and `python -m lensmith.cli` begin: Ctrl-C while Python is still loading ends without a traceback."""

import sys


def main() -> None:
    """Load the command line and run it; see `app.main` for the exit codes."""
    try:
        from .app import main as run
    except KeyboardInterrupt:
        sys.exit(130)
    run()


if __name__ == "__main__":
    main()
