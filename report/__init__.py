"""Tables, plots and pictures in one self-contained HTML page."""
