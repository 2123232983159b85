"""Look through a dataset and say what is wrong with it, why it hurts, and what would repair it."""
