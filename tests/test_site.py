"""The site: pages made of what is committed, nothing fetched, no dead link; sliders that work in a browser."""

from __future__ import annotations

import functools
import http.server
import json
import threading
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import matplotlib.pyplot as plt
import pytest

from companion import grids, widgets
from companion.execution import notebooks
from companion.pictures import png
from companion.site import explorers, findings, pages
from companion.tally import Row

ROOT = Path(__file__).parent.parent
DRAWN = "understanding/negative_correlations"


def dot(**chosen: object) -> list[bytes]:
    figure, ax = plt.subplots(figsize=(1, 1))
    ax.set_title(str(chosen))
    return [png(figure, dpi=20)]


def stops(*values: object) -> list[tuple[str, object]]:
    return [(str(value), value) for value in values]


@pytest.mark.parametrize(
    ("lengths", "kept"), [((5, 3, 4), (5, 3, 4)), ((100,), (60,)), ((2, 300), (2, 30)), ((9, 9), (7, 8))]
)
def test_a_grid_keeps_evenly_spaced_stops_and_both_ends(lengths, kept):
    choices = {str(place): stops(*range(length)) for place, length in enumerate(lengths)}
    found = grids.thinned(choices)
    assert tuple(map(len, found.values())) == kept
    for name, whole in choices.items():
        assert found[name][0] == whole[0] and found[name][-1] == whole[-1]
        values = [value for _, value in found[name]]
        assert values == sorted(set(values))


def test_a_grid_holds_a_picture_for_every_place(tmp_path):
    asked = []

    def draw(**chosen):
        asked.append(chosen)
        return dot(**chosen) * 2

    choices = {"angle": stops(0, 30), "way": [("up", 1), ("down", -1), ("flat", 0)]}
    folders = [grids.write(tmp_path / "grids", draw, choices) for _ in range(2)]
    assert [folder.name for folder in folders] == ["0", "1"]
    index = json.loads((folders[0] / grids.INDEX).read_text())
    assert index["pictures"] == 2
    assert [slider["stops"] for slider in index["sliders"]] == [["0", "30"], ["up", "down", "flat"]]
    assert len(list(folders[0].glob("*.png"))) == 12
    assert asked[:2] == [{"angle": 0, "way": 1}, {"angle": 0, "way": -1}]
    assert (folders[0] / "1-2.0.png").read_bytes() != (folders[0] / "0-0.0.png").read_bytes()


def test_a_grid_with_a_picture_too_many_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"\{'n': 2\} is shown in 2 pictures, the first place in 1"):
        grids.write(tmp_path, lambda n: dot(n=n) * n, {"n": stops(1, 2)})


def test_other_results_ask_for_another_grid(monkeypatch):
    settings = explorers.Settings("laptop", "cpu", "", "published", 1)
    before = explorers._key(DRAWN, settings)
    assert explorers._key(DRAWN, settings) == before
    made = explorers.record.read(ROOT / "figures" / "laptop" / DRAWN) | {"digest": "another"}
    monkeypatch.setattr(explorers.record, "read", lambda folder: made)
    assert explorers._key(DRAWN, settings) != before


def test_an_explorer_writes_its_grid_where_it_is_told_to(tmp_path, monkeypatch):
    def draw(angle):
        figure, ax = plt.subplots(figsize=(1, 1))
        ax.set_title(str(angle))
        return [figure]

    monkeypatch.setenv(grids.VARIABLE, str(tmp_path))
    box = widgets.explore(draw, angle=[0, ("half", 180)])
    assert repr(box) == "Explorer: move angle in JupyterLab or on the site"
    assert json.loads((tmp_path / "0" / grids.INDEX).read_text())["sliders"][0]["stops"] == ["0", "half"]
    assert len(list((tmp_path / "0").glob("*.png"))) == 2


def test_a_finding_whose_verdict_has_changed_is_refused(tmp_path):
    from companion.claims import Verdict, registry

    claim = registry()["understanding.lenet.swap"]
    path = tmp_path / "findings.csv"
    path.write_text(f"claim,verdict,figure,headline\n{claim.id},differs,a.png,It does.\n")
    records = {("paper", claim.section): {"figures": [{"file": "a.png", "caption": "A."}]}}
    read = functools.partial(findings.read, records=records, path=path)
    found = read({claim.id: ("paper", Row(claim, claim.section, Verdict.DIFFERS))})
    assert found[0].caption == "A." and found[0].notebook == claim.section
    with pytest.raises(ValueError, match=r"rests on the verdict 'differs'; it is now 'agrees'"):
        read({claim.id: ("paper", Row(claim, claim.section, Verdict.AGREES))})
    with pytest.raises(ValueError, match="is no claim"):
        read({})
    path.write_text(f"claim,verdict,figure,headline\n{claim.id},differs,b.png,It does.\n")
    with pytest.raises(ValueError, match=r"draws no b.png; there are a.png"):
        read({claim.id: ("paper", Row(claim, claim.section, Verdict.DIFFERS))})


@pytest.fixture(scope="session")
def site(tmp_path_factory) -> Path:
    """The whole site, with real notebooks and made-up pictures in its explorers."""
    build = tmp_path_factory.mktemp("site")
    for section in explorers.with_explorer(notebooks()):
        choices = {"first": stops(1, 2, 3), "second": stops("a", "b")}
        grids.write(build / "grids" / section, dot, choices)
    assert pages.build(ROOT, build / "grids", build) == 0  # 1 if there was a warning
    return build / "html"


class Page(HTMLParser):
    """Links, sources, ids and pictures of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.resources: list[str] = []
        self.ids: set[str] = set()
        self.wordless: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.ids |= {given[name] for name in ("id", "name") if given.get(name)}
        if tag == "a" and given.get("href"):
            self.links.append(given["href"])
        named = given.get("src") if tag in ("img", "script", "iframe") else given.get("href") if tag == "link" else None
        if named and not named.startswith("data:"):
            self.resources.append(named)
        if tag == "img" and not given.get("alt"):
            self.wordless.append(named or "")


@pytest.mark.slow
def test_every_page_is_there_and_nothing_comes_from_elsewhere(site):
    found = {path: Page(path) for path in site.rglob("*.html")}
    names = {path.relative_to(site).as_posix() for path in found}
    assert {f"notebooks/{section}.html" for section in notebooks()} < names
    assert {"index.html", "figures.html", "report.html", "figures/laptop/report.html", "search.html"} < names
    for path, page in found.items():
        for link in page.links + page.resources:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                assert link in page.links, f"{path} fetches {link}"
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            target = target / "index.html" if target.is_dir() else target
            assert target.is_file(), f"{path.relative_to(site)} links to {link}"
            if parts.fragment and target in found:
                assert unquote(parts.fragment) in found[target].ids, f"{path.relative_to(site)} links to {link}"


@pytest.mark.slow
def test_every_picture_has_words(site):
    assert {path.name: page.wordless for path in site.rglob("*.html") if (page := Page(path)).wordless} == {}


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def address(site) -> Iterator[str]:
    """Where the site is served."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=str(site))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def browsed(address, browser) -> Iterator:
    """A page of a browser, the site's address, and what its console complained of or fetched elsewhere."""
    complaints: list[str] = []
    page = browser.new_page()
    page.on("console", lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("response", lambda one: complaints.append(f"{one.status} {one.url}") if one.status >= 400 else None)
    page.on("request", lambda one: None if one.url.startswith((address, "data:")) else complaints.append(one.url))
    yield page, address, complaints
    page.close()


@pytest.mark.slow
def test_sliders_move_without_a_kernel(browsed):
    page, address, complaints = browsed
    page.goto(f"{address}/notebooks/{DRAWN}.html")
    picture, slider = page.locator(".explorer img"), page.locator(".explorer input").first
    assert picture.get_attribute("src").endswith("/0-0.0.png")
    slider.focus()
    slider.press("ArrowRight")
    slider.press("ArrowRight")
    assert picture.get_attribute("src").endswith("/2-0.0.png")
    assert page.locator(".explorer output").first.text_content() == "3"
    assert picture.get_attribute("alt") == "first = 3, second = a"
    page.wait_for_function("document.querySelector('.explorer img').naturalWidth > 0")
    assert complaints == []


@pytest.mark.slow
@pytest.mark.parametrize("width", [390, 1280], ids=["phone", "desktop"])
@pytest.mark.parametrize(
    "name", ["index", "mosaic", "figures", f"notebooks/{DRAWN}", "notebooks/mosaic/alpha_gradients"]
)
def test_a_page_fits_its_window(browsed, width, name):
    page, address, complaints = browsed
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(f"{address}/{name}.html")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert complaints == []


@pytest.mark.slow
def test_search_finds_a_notebook(browsed):
    page, address, complaints = browsed
    page.goto(f"{address}/search.html?q=saddles")
    page.wait_for_selector("#search-results li a")
    assert any("loss_surface" in link.get_attribute("href") for link in page.locator("#search-results li a").all())
    assert complaints == []
