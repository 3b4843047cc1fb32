"""The report says what the records say, in the right order, in sound Markdown and HTML."""

from __future__ import annotations

import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest

from companion import record, report, tally
from companion.claims import SOURCES, registry

NOTEBOOK = "understanding/lenet_negatives"
OTHER = "generalizations/network"
HOSTILE = "Because a | b, *c*, `d` & <b>e</b>."


def _claims(kind, rule, needs="laptop", source=None):
    """The ids of rows of the registry that are so, in its order."""
    wanted = {"kind": kind, "rule": rule, "needs": needs}
    return [
        one.id
        for one in registry().values()
        if all(getattr(one, name) == value for name, value in wanted.items()) and one.source == (source or one.source)
    ]


DRAWS = _claims("value", "draw", source="mosaic")
SETUP = _claims("setup", "equal", "smoke", source="mosaic")
EXACT = _claims("statement", "equal", "smoke")
FULL = _claims("value", "draw", "paper", source="mosaic")


def _entry(identifier, verdict, p=0.5, reason="", **further):
    row = registry()[identifier]
    value = 0.5 if row.unit != "label" else "x"
    headline = {"verdict": verdict, "mean": value, "low": 0.4, "high": 0.6, "n": 6, "p": p, "reason": reason}
    variants = {name: headline | {"verdict": other} for name, other in further.items()} | {row.variant: headline}
    return {
        "verdict": verdict,
        "variants": variants,
        **{column: getattr(row, column) for column in record.JUDGED_BY},
    }


def _put(figures, judged, notebook=NOTEBOOK, profile="laptop", reduced=False):
    """Write a record as a run does, with a figure and a table."""
    folder = figures / profile / notebook
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("accuracy.png", "table 1.csv"):
        (folder / name).write_bytes(b"")
    made = {
        "notebook": notebook,
        "profile": profile,
        "parameters": {},
        "scale": {"images": 12000},
        "reduced": reduced,
        "seeds": 6,
        "device": "cpu",
        "arithmetic": "fp32",
        "versions": {},
        "commit": "unknown",
        "data": {},
        "digest": "0",
        "compute_seconds": 90.0,
        "seconds": 1.0,
        "units": {"computed": 6, "read_back": 0},
        "figures": [{"file": "accuracy.png", "caption": 'Accuracy of "negatives" & <others>', "n": 6}],
        "tables": [{"file": "table 1.csv", "caption": "One | two"}],
        "results": [],
        "claims": judged,
    }
    record.write(folder, made)


JUDGED = {
    DRAWS[0]: _entry(DRAWS[0], "agrees"),
    DRAWS[1]: _entry(DRAWS[1], "differs", 0.04, corrected="agrees"),
    DRAWS[2]: _entry(DRAWS[2], "differs", 0.001, HOSTILE),
    DRAWS[3]: _entry(DRAWS[3], "inconclusive", 0.0001),
    FULL[0]: _entry(FULL[0], "inconclusive", 0.0001),
    SETUP[0]: _entry(SETUP[0], "differs", 0.0),
    SETUP[1]: _entry(SETUP[1], "agrees", 1.0),
    EXACT[0]: _entry(EXACT[0], "differs", 0.0, "It is not so."),
}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project with one notebook that was run at laptop scale, and its report."""
    root = tmp_path_factory.mktemp("project")
    notebook = root / "notebooks" / f"{NOTEBOOK}.py"
    notebook.parent.mkdir(parents=True)
    notebook.write_text("# %% [markdown]\n# # Digits | negatives\n", encoding="utf-8")
    _put(root / "figures", JUDGED)
    report.write("laptop", root=root)
    return root


@pytest.fixture(scope="module")
def markdown(project):
    return (project / "figures/laptop/REPORT.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(project):
    return (project / "figures/laptop/report.html").read_text(encoding="utf-8")


def _table(markdown, heading):
    """The rows of the first table after a heading, as lists of cells."""
    lines = markdown.partition(heading)[2].splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("|"))
    rows = []
    for line in lines[start:]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]])
    return rows


def _numbers(row):
    return [int(cell.strip("*").replace(",", "")) for cell in row[1:]]


def test_verdicts_are_counted_without_the_setup(markdown):
    total = sum(one.kind != "setup" for one in registry().values())
    summary = _table(markdown, "## Summary")
    assert _numbers(summary[-1]) == [1, 3, 2, total - 6, total]
    assert [sum(column) for column in zip(*map(_numbers, summary[2:-1]), strict=True)] == _numbers(summary[-1])
    setup = _table(markdown, "Set-up, checked")
    assert _numbers(setup[-1])[:3] == [1, 1, 0]


def test_only_what_survives_the_control_is_refuted(markdown):
    front = markdown.partition("## Refuted")[2].partition("\n## ")[0]
    # Family: 0.5, 0.04, 0.001 and an open one at 1; the second is 0.08 after adjustment.
    assert DRAWS[2] in front
    assert EXACT[0] in front
    assert "It is not so." in front
    assert DRAWS[1] not in front
    assert SETUP[0] not in front


def test_adjusted_values_are_those_of_benjamini_and_hochberg(project):
    rows = {row.claim.id: row for row in tally.read_rows(record.read_all(project / "figures/laptop"))}
    assert [rows[one].adjusted for one in DRAWS[:4]] == pytest.approx([2 / 3, 0.08, 0.004, 1])
    assert rows[FULL[0]].adjusted is None  # the run was too small for it: it was no test


def test_chance_tells_the_share_of_each_rule(markdown):
    assert "4 claims have a verdict of agrees or differs, and 3 of them differ" in markdown
    lines = {row[0]: row[1:4] for row in _table(markdown, "## What chance")[2:]}
    assert lines == {"draw": ["3", "2", "0.15"], "equal": ["1", "1", "0"]}


def test_claims_stand_refuted_first_with_every_variant(markdown):
    rows = _table(markdown, "### Digits")
    assert {len(row) for row in rows} == {6}
    verdicts = [row[4] for row in rows[2:]]
    assert verdicts == [
        "**differs** (refuted)",
        "**differs** (refuted)",
        "**differs**",
        "agrees",  # the corrected variant of the claim above
        "**does not hold**",
        "agrees",
        "holds",
        "inconclusive",
        "inconclusive",
    ]
    assert [row[3] for row in rows if row[0] == "↳"] == ["corrected"]


def test_an_open_verdict_tells_the_scale_that_it_needs(markdown):
    row = next(row for row in _table(markdown, "### Digits") if FULL[0] in row[0])
    assert row[5] == "needs the paper profile, this is a laptop run"


def test_markdown_signs_are_escaped(markdown):
    assert r"Because a \| b, \*c\*, \`d\` &amp; &lt;b>e&lt;/b>." in markdown
    assert r"### Digits \| negatives" in markdown
    assert report.escape_markdown("a_b\n[c](d) $x$") == r"a\_b \[c\](d) \$x\$"


def test_every_claim_is_named_in_both(markdown, page):
    for text, pattern in ((markdown, r"`([\w.-]+)`"), (page, r"<code>([\w.-]+)</code>")):
        assert set(registry()) - set(re.findall(pattern, text)) == set()


def test_a_git_host_still_shows_the_report(markdown):
    assert len(markdown.encode()) < 400_000


def test_a_reduced_run_is_said_loudly(tmp_path, project, markdown):
    assert "Reduced" not in markdown
    _put(tmp_path, JUDGED, reduced=True)
    told, page = (path.read_text(encoding="utf-8") for path in report.write("laptop", tmp_path, project))
    assert f"> **Reduced.** {NOTEBOOK} ran below" in told
    assert "> **Reduced run**" in told
    assert '<p class="loud"><strong>Reduced.' in page
    assert '<p class="loud"><strong>Reduced run' in page


def test_a_notebook_tells_its_scale_and_cost(markdown, page):
    assert "images = 12000 · 6 seeds · fp32 on cpu · 1.5 min of compute" in markdown
    assert "images = 12000 · 6 seeds · fp32 on cpu · 1.5 min of compute" in page


class _Page(HTMLParser):
    """Checks that elements close in order and collects links and anchors."""

    VOID = frozenset({"meta", "img", "input", "br"})

    def __init__(self):
        super().__init__()
        self.open, self.links, self.ids, self.alts, self.claims = [], [], [], [], []

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.links += [attrs[name] for name in ("href", "src") if name in attrs]
        self.ids += [attrs["id"]] if "id" in attrs else []
        self.alts += [attrs["alt"]] if tag == "img" else []
        self.claims += [(attrs["data-paper"], attrs["data-verdict"])] if "data-claim" in attrs else []
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def _parsed(text):
    page = _Page()
    page.feed(text)
    page.close()
    assert page.open == []
    return page


def test_the_page_is_sound_and_self_contained(page):
    parsed = _parsed(page)
    assert len(set(parsed.ids)) == len(parsed.ids)
    assert not re.search(r"https?://|@import|url\(", page)
    assert "&lt;b&gt;e&lt;/b&gt;" in page
    assert parsed.alts == ['Accuracy of "negatives" & <others>']


def test_the_page_can_be_filtered_by_paper_and_verdict(page):
    marked = _parsed(page).claims
    assert len(marked) == len(registry())
    assert {paper for paper, _ in marked} == set(SOURCES)
    assert sum(verdict == "differs refuted" for _, verdict in marked) == 2
    offered = set(re.findall(r"<option>([^<]+)</option>", page))
    assert {verdict.removesuffix(" refuted") for _, verdict in marked} <= offered


def test_links_lead_somewhere(project, markdown, page):
    folder = project / "figures/laptop"
    parsed = _parsed(page)
    inline = re.findall(r"(?<!\\)\]\(([^)]+)\)", markdown) + re.findall(r'(?:href|src)="([^"]+)"', markdown)
    anchors = re.findall(r'<a id="([^"]+)"', markdown)
    for links, ids in ((inline, anchors), (parsed.links, parsed.ids)):
        assert f"../../notebooks/{NOTEBOOK}.py" in links
        for link in links:
            found = link[1:] in ids if link.startswith("#") else (folder / unquote(link)).exists()
            assert found, link


def test_nothing_is_written_twice(project):
    assert report.write("laptop", root=project) == []


def test_a_new_verdict_is_written(project, tmp_path):
    _put(tmp_path, JUDGED | {DRAWS[0]: _entry(DRAWS[0], "differs", 0.2)})
    first = report.write("laptop", tmp_path, project)
    assert [path.name for path in first] == ["REPORT.md", "report.html"]
    _put(tmp_path, JUDGED)
    assert report.write("laptop", tmp_path, project) == first


def test_no_record_at_all_gives_a_report(tmp_path):
    report.write("paper", root=tmp_path)
    markdown = (tmp_path / "figures/paper/REPORT.md").read_text(encoding="utf-8")
    assert "No claim is refuted." in markdown
    assert "No claim has a verdict" in markdown
    assert f"{OTHER} is not written yet" in markdown


def test_the_readme_counts_each_claim_at_its_best_profile(tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text("before\n<!-- verdicts:begin -->\nold\n<!-- verdicts:end -->\nafter\n", encoding="utf-8")
    inconclusive = {one: _entry(one, "inconclusive") for one in DRAWS[:3]}
    _put(tmp_path / "figures", inconclusive)
    _put(tmp_path / "figures", {DRAWS[0]: _entry(DRAWS[0], "agrees")}, profile="paper")
    assert readme in report.write("laptop", root=tmp_path)
    text = readme.read_text(encoding="utf-8")
    assert text.startswith("before\n<!-- verdicts:begin -->\n| Paper |")
    assert text.endswith("<!-- verdicts:end -->\nafter\n")
    assert "old" not in text
    total = sum(one.kind != "setup" and one.source == "mosaic" for one in registry().values())
    row = next(row for row in _table(text, "begin") if "Mosaic" in row[0])
    assert row[1:] == [f"3 of {total:,}", "1", "0", "2"]
    assert "[laptop report](figures/laptop/REPORT.md)." in text
    assert report.write("laptop", root=tmp_path) == []


@pytest.mark.parametrize(
    ("laptop", "paper", "reduced", "counted"),
    [
        ("agrees", "inconclusive", True, "agrees"),  # a reduced run that cannot tell
        ("agrees", "inconclusive", False, "inconclusive"),
        ("agrees", "differs", True, "differs"),
        ("inconclusive", "inconclusive", True, "inconclusive"),
        ("inconclusive", None, True, "inconclusive"),
        (None, "inconclusive", True, "inconclusive"),
    ],
)
def test_what_a_reduced_paper_run_leaves_open_is_told_by_the_laptop_run(tmp_path, laptop, paper, reduced, counted):
    for profile, verdict in (("laptop", laptop), ("paper", paper)):
        _put(tmp_path / "figures", {DRAWS[0]: _entry(DRAWS[0], verdict)} if verdict else {}, profile=profile)
    small, large = (tally.read_rows(record.read_all(tmp_path / "figures" / name)) for name in ("laptop", "paper"))
    found = {
        row.claim.id: (profile, row) for profile, row in tally.best(small, large, {NOTEBOOK} if reduced else set())
    }
    assert found[DRAWS[0]][1].verdict == counted
    assert found[DRAWS[0]][0] == ("laptop" if laptop == counted != paper else "paper")


def test_a_readme_without_markers_is_left_alone(tmp_path):
    (tmp_path / "README.md").write_text("<!-- verdicts:begin --> only\n", encoding="utf-8")
    report.write("laptop", root=tmp_path)
    assert (tmp_path / "README.md").read_text(encoding="utf-8") == "<!-- verdicts:begin --> only\n"


@pytest.mark.parametrize(
    "change",
    [
        {"rule": "below"},
        {"reported": -1.0},
        {"variant": "other"},
        {"tolerance": 99.0},
        {"needs": "smoke"},
        {"digits": 7},
        {"unit": "nats"},
        {"truncated": True},
    ],
)
def test_a_record_of_a_row_that_changed_is_refused(tmp_path, change):
    _put(tmp_path, {DRAWS[0]: _entry(DRAWS[0], "agrees") | change})
    with pytest.raises(ValueError, match=f"judges {re.escape(DRAWS[0])} by a row .* changed"):
        tally.read_rows(record.read_all(tmp_path / "laptop"))


def test_a_claim_is_judged_by_one_notebook(tmp_path):
    for notebook in (NOTEBOOK, OTHER):
        _put(tmp_path, {DRAWS[0]: _entry(DRAWS[0], "agrees")}, notebook)
    with pytest.raises(ValueError, match=f"judged by {OTHER} and {NOTEBOOK}"):
        tally.read_rows(record.read_all(tmp_path / "laptop"))


def test_the_changes_of_rules_are_told(markdown):
    told = (Path(report.__file__).parent / "claims/CHANGES.md").read_text(encoding="utf-8").splitlines()[-1]
    assert told in markdown.partition("## Later changes")[2].partition("\n## ")[0]


def test_the_command_line_writes_where_it_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("COMPANION_ROOT", str(tmp_path / "root"))
    monkeypatch.setattr(sys, "argv", ["report", "--profile", "smoke", "--figures", str(tmp_path / "elsewhere")])
    report.main()
    assert "**Smoke run.**" in (tmp_path / "elsewhere/smoke/REPORT.md").read_text(encoding="utf-8")
    assert not (tmp_path / "root").exists()


def test_an_unknown_profile_is_refused(tmp_path):
    with pytest.raises(ValueError, match="unknown profile 'desk'; the profiles are smoke, laptop, paper"):
        report.write("desk", root=tmp_path)
