"""YOLO detectors: train, go on, measure; ends in a bundle."""
