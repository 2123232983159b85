"""From a bundle to other programs' formats, one file a format. Each keeps the picture input: uint8 BGR `(n, h, w, 3)`.

Conversions run in a process of their own, see `convert`. What they made is compared with the source and becomes a
bundle in `predict.exporting`.
"""
