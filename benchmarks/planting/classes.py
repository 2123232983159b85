"""Faults in which classes there are, how often and in which split."""

from __future__ import annotations

from .site import Row, Site, jpeg, two_boxes, write_yaml


def plant_few(site: Site) -> None:
    """A class of one example in every split."""
    number = _new_class(site, "rare")
    for split in ("train", "valid", "test"):
        _add(site, split, number, 1)
    site.plant("class-few", "3 examples", words=("rare",))
    site.allow("class-imbalance")


def plant_absent(site: Site) -> None:
    """A class that only the training pictures have, and one that they lack."""
    number = _new_class(site, "only-train")
    _add(site, "train", number, 14)
    site.plant("class-absent", "not in valid and test", words=("only-train",))
    number = _new_class(site, "not-in-train")
    _add(site, "valid", number, 12)
    _add(site, "test", number, 12)
    site.plant("class-absent", "not in train", words=("not-in-train",))


def plant_unused(site: Site) -> None:
    """A name that no label uses."""
    _new_class(site, "ghost")
    site.plant("class-unused", "no label has it", words=("ghost",))


def plant_imbalance(site: Site) -> None:
    """A class of sixteen examples beside one that is forty times as frequent."""
    number = _new_class(site, "seldom")
    _add(site, "train", number, 12)
    for split in ("valid", "test"):
        _add(site, split, number, 2)
    crowd = site.names.index("cat")
    for split in ("train", "valid", "test"):
        for place in range(12):
            rows: list[Row] = [
                (crowd, (column + 0.5) / 4, (line + 0.5) / 4, 0.2, 0.2) for column in range(4) for line in range(4)
            ]
            site.add(split, f"crowd-{split}-{place:03d}.jpg", jpeg(site.photos.take()), crowd, rows)
    site.plant("class-imbalance", "16 beside 600", words=("seldom",))


def plant_alike(site: Site, names: tuple[str, ...]) -> None:
    """Class names that differ in case or in a mark only."""
    for name in names:
        number = _new_class(site, name)
        for split, count in (("train", 12), ("valid", 3), ("test", 3)):
            _add(site, split, number, count)
    site.plant("class-names-alike", " and ".join(names), words=names)


def _new_class(site: Site, name: str) -> int:
    site.names = (*site.names, name)
    if site.layout == "yolo":
        write_yaml(site)
    return len(site.names) - 1


def _add(site: Site, split: str, class_id: int, count: int) -> None:
    for place in range(count):
        rows = [] if site.layout == "folder" else [two_boxes(site.rng, class_id, class_id)[0]]
        name = f"class{class_id}-{split}-{place:03d}.jpg"
        site.add(split, name, jpeg(site.photos.take()), class_id, rows)
