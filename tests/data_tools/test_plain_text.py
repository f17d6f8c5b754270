"""Foreign text on its way to a terminal, a table, a line."""

import csv
import io

from ctresample.data_tools.plain_text import csv_text, csv_word, one_line, shown


def test_nothing_reaches_the_terminal_but_text():
    assert shown("Müller 日本 (1).dcm") == "Müller 日本 (1).dcm"
    assert shown("a\x1b[2J\x9b31m\r\n\t\u202eb\udcff") == r"a\x1b[2J\x9b31m\r\n\t\u202eb\udcff"
    assert one_line("a\x1b[2J\nb") == "a [2J b"


def test_no_cell_is_a_formula():
    words = ["=cmd|'/c calc'!A0", "+1+1", "-1+1|x", "@SUM(1)", "\t=1", "\r=1", "=\udcff"]
    lines = list(csv.reader(io.StringIO(csv_text([["place"], *([word] for word in words)]))))
    assert lines[0] == ["place"]
    assert all(cell.startswith("'") and cell.isprintable() for (cell,) in lines[1:])
    assert csv_word(lines[1][0]) == words[0]


def test_numbers_and_other_words_stay():
    cells = ["-1.5", "1e-07", "-inf", "chest, 'axial'", 'say "no"', -2, 3.5, None]
    (line,) = csv.reader(io.StringIO(csv_text([cells])))
    assert line == ["-1.5", "1e-07", "-inf", "chest, 'axial'", 'say "no"', "-2", "3.5", ""]
    assert [csv_word(cell) for cell in line] == line
