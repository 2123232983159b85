"""What comes in: pull, read, check, and the digit scenes."""

if __name__ == "datasets":
    raise ImportError(
        "This is Lensmith's own folder 'datasets', found under its bare name because the current folder is a Lensmith "
        "checkout. Import it as 'lensmith.datasets', or start Python elsewhere to get another library of that name."
    )
