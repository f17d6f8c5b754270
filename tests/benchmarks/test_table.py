"""What the tables and verdicts say, from made-up figures."""

import table

EIGHT = table.Case("parallel", 256, 60, 8)
OURS = table.Row(EIGHT, "ctresample", [0.004, 0.006], [0.006, 0.004], 4e-3, 1e-9)
ASTRA = table.Row(EIGHT, "ASTRA CPU", [0.2, 0.2], [0.1, 0.1], 4e-3, 1e-9)
SKIMAGE = table.Row(EIGHT, "scikit-image", [0.3, 0.3], [0.0, 0.0], 2e-3, 1e-4)


def columns(text):
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()]


def test_a_row_has_times_the_ratio_to_ours_and_both_errors():
    cells = columns(table.projector_table([OURS, ASTRA]))[-1]
    assert cells == [
        "parallel, 256 × 256, 60 views, 8 slices", "ASTRA CPU", "200 (200–200)", "100 (100–100)", "30.0 (30.0–30.0)",
        "4.00e-03", "1e-09",
    ]  # fmt: skip


def test_an_absent_contestant_is_named_with_its_reason():
    absent = table.Row(EIGHT, "scikit-image", absent="absent: no fan beam")
    assert "scikit-image | absent: no fan beam" in " ".join(table.projector_table([OURS, absent]).split("  "))
    assert columns(table.projector_table([absent, OURS]))[2][1:3] == ["scikit-image", "absent: no fan beam"]


def test_all_lines_of_a_table_are_equally_wide():
    lines = table.projector_table([OURS, ASTRA, SKIMAGE]).splitlines()
    assert len({len(line) for line in lines}) == 1


def test_verdicts_count_the_cases_that_reach_the_goal_and_those_as_accurate():
    matrices = [table.MatrixRow(256, 60, [1.0], [1.5], [12.0]), table.MatrixRow(256, 180, [4.0], [5.0], [8.0])]
    astra, skimage, matrix = table.verdicts([OURS, ASTRA, SKIMAGE], matrices)
    assert astra.startswith("8 slices, ASTRA CPU: 30 times our time (30.0 to 30.0); goal 25 reached in 1 of 1 cases")
    assert astra.endswith("error equal or smaller in 1 of 1 cases")
    assert "goal 40 reached in 0 of 1 cases" in skimage
    assert skimage.endswith("in 0 of 1 cases")
    assert "7 times our time (2.0 to 12.0); goal 5 reached in 1 of 2 cases" in matrix


def test_verdicts_pass_over_peers_that_are_absent_and_single_slices():
    one = table.Case("parallel", 256, 60, 1)
    rows = [
        OURS,
        table.Row(EIGHT, "ASTRA CPU", absent="absent: gone"),
        table.Row(one, "scikit-image", [1.0], [1.0], 1, 1),
    ]
    assert table.verdicts(rows, []) == []


def test_a_case_reads_as_words():
    assert str(table.Case("fan", 512, 25, 1)) == "fan, 512 × 512, 25 views, 1 slice"
