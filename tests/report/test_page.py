"""The report page is one safe file."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np

from lensmith.core.redact import register_secret
from lensmith.report import plots
from lensmith.report.page import Page


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in {"src", "href", "xlink:href"}]


def test_page_is_self_contained_and_escapes_all_text(tmp_path: Path) -> None:
    register_secret("KEYKEYKEY")
    hostile = "<script>alert(1)</script>"
    page = Page(hostile, hostile)
    page.section(hostile, "KEYKEYKEY")
    page.numbers([(hostile, "1", hostile)])
    page.table([hostile], [[hostile], [0.5]], hostile)
    page.plot(plots.curves({hostile: [1.0, float("nan"), 2.0]}, x_label="epoch", y_label="loss", marks={1: "x"}))
    page.plot(plots.confusion_matrix(np.eye(3, dtype=np.int64), ["a", "b", hostile]))
    page.plot(plots.bars({"a": 0.2, hostile: 1.0}, x_label="AP"))
    page.pictures([(np.zeros((8, 8, 3), np.uint8), hostile)], hostile)
    html = page.write(tmp_path / "ü" / "report.html").read_text(encoding="utf-8")
    reader = _Reader()
    reader.feed(html)
    assert "script" not in reader.tags
    assert "KEYKEYKEY" not in html
    assert {"table", "svg", "img"} <= set(reader.tags)
    assert all(address.startswith(("data:image/", "#")) for address in reader.addresses)
    assert not re.search(r"@import|url\(http", html)
