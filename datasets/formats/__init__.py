"""One reader and one writer for each layout that a dataset may have on disk."""
