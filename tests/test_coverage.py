"""coverage.csv is complete and true, and the check notices where it is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from companion.coverage import COLUMNS, coverage_problems

ROOT = Path(__file__).parent.parent
NETWORK = "generalizations,figure,Figure 1,network,generalizations/network,layers.csv,"
RESULTS = "generalizations,heading,4 RESULTS,results,generalizations/significance,,"
THANKS = "generalizations,heading,THANKS,thanks,context,,acknowledgements"
SECTIONS = ["generalizations/network", "generalizations/significance"]


def test_the_real_tree_is_covered():
    assert coverage_problems(ROOT) == []


@pytest.fixture
def tree(tmp_path):
    """A small sound project with its paper beside it."""
    root = tmp_path / "project"
    for name, content in {
        "project/notebooks/generalizations/network.py": "",
        "project/figures/laptop/generalizations/network/layers.csv": "",
        "shared/papers/generalizations.md": "# **4 RESULTS**\n\nFigure 1: CNN model.\n\nFigure 1 shows it.\n\nTHANKS\n",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content, encoding="utf-8")
    _rows(root, NETWORK, RESULTS, THANKS)
    return root


def _rows(root, *rows):
    (root / "coverage.csv").write_text("\n".join([",".join(COLUMNS), *rows]) + "\n", encoding="utf-8")


def test_a_sound_tree_has_no_problems(tree):
    assert coverage_problems(tree, SECTIONS) == []


def test_an_output_of_the_paper_profile_counts(tree):
    (tree / "figures/laptop").rename(tree / "figures/paper")
    assert coverage_problems(tree, SECTIONS) == []


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ((NETWORK.replace("layers.csv", ""), RESULTS, THANKS), "exists, so an output is needed"),
        ((NETWORK.replace("layers", "other"), RESULTS, THANKS), "'other.csv' lies neither in figures/laptop"),
        (
            (NETWORK, RESULTS.replace(",,", ",a.png,"), THANKS),
            "the notebook generalizations/significance does not exist",
        ),
        ((NETWORK, RESULTS, THANKS.replace("acknowledgements", "")), "context needs a reason"),
        ((NETWORK, RESULTS, THANKS.replace(",,", ",a.png,")), "context has no output, 'a.png' is given"),
        ((NETWORK, RESULTS, THANKS.replace("context", "nowhere")), "allowed is generalizations/name or context"),
        ((NETWORK, RESULTS.replace("generalizations/", "mosaic/"), THANKS), "the notebook is 'mosaic/significance'"),
        ((NETWORK.replace("figure", "picture"), RESULTS, THANKS), "the kind is 'picture'"),
        ((NETWORK, RESULTS, THANKS.replace("generalizations", "elsewhere")), "the source is 'elsewhere'"),
        ((NETWORK, RESULTS, THANKS + ",more"), "more or fewer than 7 cells"),
        ((RESULTS, THANKS), "the notebook generalizations/network is named by no row"),
        ((RESULTS, THANKS), "the figure 'Figure 1' 1 time(s), rows of coverage.csv 0"),
        ((NETWORK, THANKS), "belong to the notebook generalizations/significance, which no row names"),
        ((NETWORK, THANKS), "the heading '4 RESULTS' 1 time(s)"),
        ((NETWORK, RESULTS, THANKS.replace("THANKS", "5 NEXT")), "the heading '5 NEXT', which is not in"),
        ((NETWORK, RESULTS, THANKS, NETWORK.replace("Figure 1", "Figure 2")), "the figure 'Figure 2', which is not in"),
    ],
)
def test_a_broken_row_is_told(tree, rows, told):
    _rows(tree, *rows)
    problems = coverage_problems(tree, SECTIONS)
    assert any(told in problem for problem in problems), problems


def test_a_heading_that_stands_twice_needs_two_rows(tree):
    paper = tree.parent / "shared/papers/generalizations.md"
    paper.write_text(paper.read_text() + "## 4 RESULTS\n")
    assert coverage_problems(tree, SECTIONS) == [
        "generalizations has the heading '4 RESULTS' 2 time(s), rows of coverage.csv 1"
    ]


def test_the_claims_of_the_registry_are_asked_by_default(tree):
    assert any("mosaic/averaging_layers, which no row names" in problem for problem in coverage_problems(tree))


def test_a_wrong_header_or_no_file_is_told(tree):
    (tree / "coverage.csv").write_text("source,label\n")
    assert "it must be source,kind,label" in coverage_problems(tree)[0]
    (tree / "coverage.csv").unlink()
    assert coverage_problems(tree) == ["there is no coverage.csv"]
