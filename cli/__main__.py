"""`python -m lensmith.cli` is `cv`."""

from .app import main

main()
