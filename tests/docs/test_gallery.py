"""The pages and pictures of the gallery are up to date, and small."""

from __future__ import annotations

import re
from pathlib import Path

import gallery
import numpy as np
import pytest
from gallery import STILLS, Still, gif_of, main, page, scene_page, write_gallery
from PIL import Image

from involution_edu.viz.animation.animate import animate
from involution_edu.viz.animation.scenes import SCENES, Subject

DOCS = Path(__file__).parents[2] / "docs"


def test_the_pages_are_up_to_date() -> None:
    assert (DOCS / "gallery.md").read_text(encoding="utf-8") == page()
    for name, scene in SCENES.items():
        kept = (DOCS / "gallery" / f"{name}.md").read_text(encoding="utf-8")
        assert kept == scene_page(scene)
        assert scene.caption in " ".join(kept.split())


def test_every_picture_has_its_page_and_is_in_the_gallery() -> None:
    grids = (DOCS / "gallery.md").read_text(encoding="utf-8")
    pictures = [*map(gif_of, SCENES), *(f"gallery/{name}.png" for name in STILLS)]
    pages = [f"gallery/{name}.md" for name in (*SCENES, *STILLS)]
    kept = [f"gallery/{path.name}" for path in (DOCS / "gallery").iterdir()]
    assert sorted([*kept, "demo.gif"]) == sorted(pictures + pages)
    cards = re.findall(r"\[!\[.+?\]\((\S+)\) (.+?)\]\((\S+)\)", grids)
    assert [(picture, page) for picture, _, page in cards] == list(
        zip(pictures, pages, strict=True)
    )
    for picture, title, name in cards:
        own = (DOCS / name).read_text(encoding="utf-8")
        assert own.startswith(f"# {title}\n")
        assert f"{Path(picture).name})" in own


def test_the_pictures_are_small() -> None:
    sizes = {path.name: path.stat().st_size for path in (DOCS / "gallery").iterdir()}
    animations = [size for name, size in sizes.items() if name.endswith(".gif")]
    assert max(animations) <= 500_000
    assert sum(animations) <= 3_000_000
    assert sum(sizes.values()) <= 4_000_000


@pytest.mark.parametrize("name", ["generate", "groups", "fixed-size"])
def test_the_animations_are_these(name: str, tmp_path: Path) -> None:
    animation, _ = animate(name, out_dir=tmp_path)
    with Image.open(DOCS / gif_of(name)) as kept, Image.open(animation) as ours:
        assert kept.n_frames == ours.n_frames  # type: ignore[attr-defined]
        for n in range(kept.n_frames):  # type: ignore[attr-defined]
            kept.seek(n)
            ours.seek(n)
            # Letters may differ by a hair.
            difference = np.asarray(ours.convert("RGB"), int) - np.asarray(kept.convert("RGB"))
            assert np.abs(difference).mean() < 0.5


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave one scene, one still, and no page of the explorer."""
    monkeypatch.setattr(gallery, "SCENES", {"groups": SCENES["groups"]})
    monkeypatch.setattr(gallery, "STILLS", ("atlas",))
    monkeypatch.setattr(gallery, "write_explorer", lambda *paths: None)


def test_all_is_written_and_what_exists_is_kept(small: None, tmp_path: Path) -> None:
    files = write_gallery(tmp_path)
    written = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    assert (
        written
        == {path.name for path in files}
        == {"gallery.md", "groups.gif", "groups.md", "atlas.png"}
    )
    with pytest.raises(FileExistsError, match=r"gallery\.md exists; pass --force"):
        write_gallery(tmp_path)
    steps: list[tuple[int, int, str]] = []
    write_gallery(tmp_path, force=True, progress=lambda *step: steps.append(step))
    names = "groups.gif", "groups.md", "atlas.png", "gallery.md"
    assert steps == [(n, 4, name) for n, name in enumerate(names, start=1)]
    with pytest.raises(NotADirectoryError, match=r"^/dev/null.* is not a folder"):
        main(["/dev/null/a"])


def test_the_script_replaces_what_exists(small: None, tmp_path: Path) -> None:
    (tmp_path / "gallery.md").write_text("old")
    main([str(tmp_path)])
    assert (tmp_path / "gallery.md").read_text(encoding="utf-8").startswith("# Gallery")


def test_the_explorer_has_a_picture_if_there_is_a_browser(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(gallery, "BROWSERS", ("no-such-browser",))
    gallery.write_explorer(tmp_path / "a.html", tmp_path / "a.png")
    assert [path.name for path in tmp_path.iterdir()] == ["a.html"]
    assert "No Chromium" in capsys.readouterr().err


@pytest.mark.parametrize("name", sorted({*STILLS} - {"blocks"}))  # RedNet-50: in tests of figures
def test_the_code_of_every_still_draws_it(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo = np.random.default_rng(1).integers(0, 256, (16, 20, 3), dtype=np.uint8)
    monkeypatch.setattr(Subject, "of", lambda image: Subject(photo, seed=3))
    Still.read(name).draw().savefig(tmp_path / "still.png")
    with Image.open(tmp_path / "still.png") as image:
        assert min(image.size) > 250
