"""Everything that speaks to Roboflow."""
