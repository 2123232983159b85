"""Labels in a table beside the pictures: refused, with the row that shows why."""

import pytest

from lensmith.core.errors import DataError
from lensmith.core.workspace import Workspace
from lensmith.datasets.read import open_dataset
from tests.helpers import make_picture


@pytest.mark.parametrize(
    ("content", "said"),
    [
        pytest.param("filename, cat, dog\n0.png, 1, 0\n1.png, 1, 1\n", "line 3, 1.png is cat and dog", id="several"),
        pytest.param("filename, cat, dog\n0.png, 1, 0\n1.png, 0, 1\n", "Folder Structure", id="one each"),
        pytest.param("", "_classes.csv", id="empty"),
        pytest.param("\ufefffilename, cat, dog\r\n0.png, 1, 1", "line 2, 0.png is cat and dog", id="of a spreadsheet"),
    ],
)
def test_labels_in_a_table_are_refused(content: str, said: str, workspace: Workspace) -> None:
    for split in ("train", "valid"):
        for number in range(2):
            make_picture(workspace.datasets / "pets" / split / f"{number}.png")
        (workspace.datasets / "pets" / split / "_classes.csv").write_text(content, encoding="utf-8", newline="")
    with pytest.raises(DataError) as caught:
        open_dataset("pets", workspace)
    assert said in str(caught.value)
    assert "_classes.csv" in str(caught.value)


def test_labels_in_an_unknown_file_are_named(workspace: Workspace) -> None:
    make_picture(workspace.datasets / "pets" / "train" / "0.png")
    (workspace.datasets / "pets" / "labels.json").write_text('{"0.png": ["cat", "dog"]}')
    with pytest.raises(DataError, match=r"labels\.json"):
        open_dataset("pets", workspace)
