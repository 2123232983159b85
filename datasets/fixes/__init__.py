"""Repairs, one file for each thing that can be wrong: pictures, copies, splits."""
