"""Only the named section of a page changes."""

import page
import pytest

TEXT = "# Speed\n\n<!-- a -->\nold\n<!-- end of a -->\n\nWords.\n<!-- b -->\n<!-- end of b -->\n"


def test_only_the_section_changes_and_again_to_the_same(tmp_path):
    path = tmp_path / "speed.md"
    path.write_text(TEXT)
    for _ in range(2):
        page.write_section(path, "a", "new\n")
        assert path.read_text() == TEXT.replace("\nold\n", "\n\nnew\n\n")


@pytest.mark.parametrize("text", ["", "<!-- a -->", "<!-- end of a --><!-- a -->", TEXT + "<!-- a -->"])
def test_a_page_without_the_section_is_refused_and_left_alone(tmp_path, text):
    path = tmp_path / "speed.md"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"speed\.md: expected one <!-- a -->"):
        page.write_section(path, "a", "new")
    assert path.read_text() == text
