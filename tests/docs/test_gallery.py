"""The page and pictures of the gallery are up to date, and small."""

from __future__ import annotations

import re
from pathlib import Path

import gallery
import numpy as np
import pytest
from gallery import STILLS, Runs, Still, main, page, write_gallery
from PIL import Image

from involution_edu.viz.animation.canvas import Animation
from involution_edu.viz.animation.scenes import SCENES, Subject
from involution_edu.viz.animation.scenes.multiply import Multiply

DOCS = Path(__file__).parents[2] / "docs"


def test_the_page_is_up_to_date() -> None:
    assert (DOCS / "gallery.md").read_text(encoding="utf-8") == page()


def test_every_picture_is_there_with_a_caption() -> None:
    text = (DOCS / "gallery.md").read_text(encoding="utf-8")
    linked = re.findall(r"\]\((gallery/[^)]+)\)", text)
    kept = sorted(f"gallery/{path.name}" for path in (DOCS / "gallery").iterdir())
    assert sorted(linked) == kept
    joined = " ".join(text.split())
    entries = [(scene.title, scene.caption) for scene in SCENES.values()]
    for title, caption in (*entries, *((still.title, still.caption) for still in STILLS)):
        assert f"### {title}" in text
        assert caption in joined


def test_the_pictures_are_small() -> None:
    sizes = {path.name: path.stat().st_size for path in (DOCS / "gallery").iterdir()}
    animations = [size for name, size in sizes.items() if name.endswith(".gif")]
    assert max(animations) <= 500_000
    assert sum(animations) <= 3_000_000
    assert sum(sizes.values()) <= 4_000_000


@pytest.mark.parametrize("name", ["generate", "groups", "fixed-size"])
def test_the_animations_are_these(name: str) -> None:
    animation = SCENES[name](Subject.of(None)).animation()
    with Image.open(DOCS / "gallery" / f"{name}.gif") as kept:
        assert kept.n_frames == len(animation.frames)  # type: ignore[attr-defined]
        for n, frame in enumerate(animation.frames):
            kept.seek(n)
            ours = np.asarray(animation.draw(frame).image).astype(int)
            # The photo has fewer colours, and letters may differ by a hair.
            assert np.abs(ours - np.asarray(kept.convert("RGB"))).mean() < 0.5


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave one scene of two frames, and one still."""

    class Two(Multiply):
        name, title, caption = "two", "Two", "Two frames."

        def animation(self) -> Animation:
            whole = super().animation()
            return Animation(whole.background, whole.frames[:2], whole.photos)

    monkeypatch.setattr(gallery, "SCENES", {"two": Two})
    atlas = Still("a", "A map", "A caption.", lambda runs: STILLS[0].draw(runs))
    monkeypatch.setattr(gallery, "STILLS", (atlas,))


def test_all_is_written_and_what_exists_is_kept(small: None, tmp_path: Path) -> None:
    files = write_gallery(tmp_path)
    written = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    assert written == {path.name for path in files} == {"gallery.md", "two.gif", "a.png"}
    with pytest.raises(FileExistsError, match=r"gallery\.md exists; pass --force"):
        write_gallery(tmp_path)
    steps: list[tuple[int, int, str]] = []
    write_gallery(tmp_path, force=True, progress=lambda *step: steps.append(step))
    assert steps == [(1, 3, "two.gif"), (2, 3, "a.png"), (3, 3, "gallery.md")]
    with pytest.raises(NotADirectoryError, match=r"^/dev/null is not a folder"):
        main(["/dev/null/a"])


def test_the_script_replaces_what_exists(small: None, tmp_path: Path) -> None:
    (tmp_path / "gallery.md").write_text("old")
    main([str(tmp_path)])
    assert (tmp_path / "gallery.md").read_text(encoding="utf-8").startswith("# Gallery")


def test_every_still_is_drawn(tmp_path: Path) -> None:
    photo = np.random.default_rng(1).integers(0, 256, (16, 20, 3), dtype=np.uint8)
    runs = Runs(Subject(photo, seed=3))
    for still in STILLS:
        if still.name != "blocks":  # RedNet-50, drawn in the tests of figures
            figure = still.draw(runs)
            figure.savefig(tmp_path / "still.png")
            with Image.open(tmp_path / "still.png") as image:
                assert min(image.size) > 250
