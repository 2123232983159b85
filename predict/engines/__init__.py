"""Whatever runs a model: one interface, several libraries.

`open_engine` chooses one for a bundle, checks it against the golden samples, and hands it to the loop.
"""
