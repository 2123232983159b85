"""Frames in, predictions out: sources -> engine -> results -> sinks, in one loop."""
