"""Clean datasets with faults planted at known places, to measure what a check finds and what it makes up."""
