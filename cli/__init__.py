"""The `cv` command: one short file per command, nothing but options and calls."""
