"""The gallery's page and pictures are those that the command writes, and they are small."""

from __future__ import annotations

import re
from pathlib import Path

import gallery
import numpy as np
import pytest
from gallery import STILLS, Still, Studio, page, write_gallery
from PIL import Image

from involution_edu.cli import main
from involution_edu.viz.animation.frames import Film
from involution_edu.viz.animation.scenes import SCENES, Scene, Subject, scene_of

DOCS = Path(__file__).parents[2] / "docs"


def test_the_page_is_the_one_that_the_command_writes() -> None:
    assert (DOCS / "gallery.md").read_text(encoding="utf-8") == page()


def test_every_picture_is_there_with_a_caption() -> None:
    text = (DOCS / "gallery.md").read_text(encoding="utf-8")
    linked = re.findall(r"\]\((gallery/[^)]+)\)", text)
    kept = sorted(f"gallery/{path.name}" for path in (DOCS / "gallery").iterdir())
    assert sorted(linked) == kept
    joined = " ".join(text.split())
    for row in (*SCENES, *STILLS):
        assert f"### {row.title}" in text
        assert row.caption in joined


def test_the_pictures_are_small() -> None:
    sizes = {path.name: path.stat().st_size for path in (DOCS / "gallery").iterdir()}
    animations = [size for name, size in sizes.items() if name.endswith(".gif")]
    assert max(animations) <= 500_000
    assert sum(animations) <= 3_000_000
    assert sum(sizes.values()) <= 4_000_000


@pytest.mark.parametrize("name", ["generate", "groups", "fixed-size"])
def test_the_animations_are_these(name: str) -> None:
    film = scene_of(name).film(Subject.of(None))
    with Image.open(DOCS / "gallery" / f"{name}.gif") as kept:
        assert kept.n_frames == len(film.shots)  # type: ignore[attr-defined]
        for n, shot in enumerate(film.shots):
            kept.seek(n)
            ours = np.asarray(film.frame(shot).image).astype(int)
            # The photo has fewer colours, and letters may differ by a hair.
            assert np.abs(ours - np.asarray(kept.convert("RGB"))).mean() < 0.5


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave one scene of two frames, and one still."""

    def two(subject: Subject) -> Film:
        film = scene_of("multiply").film(subject)
        return Film(film.still, film.shots[:2], film.photos)

    monkeypatch.setattr(gallery, "SCENES", (Scene("two", "Two", "Two frames.", two),))
    shapes = Still("a", "A map", "A caption.", lambda studio: STILLS[0].draw(studio))
    monkeypatch.setattr(gallery, "STILLS", (shapes,))


def test_the_command_writes_all_and_keeps_what_exists(
    small: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["gallery"]) == 0
    assert capsys.readouterr().out == "Wrote gallery.md and 2 pictures\n"
    written = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    assert written == {"gallery.md", "two.gif", "a.png"}
    assert main(["gallery"]) == 2
    assert "gallery.md exists; pass --force" in capsys.readouterr().err
    steps: list[tuple[int, int]] = []
    write_gallery(tmp_path, force=True, progress=lambda *step: steps.append(step))
    assert steps == [(1, 3), (2, 3), (3, 3)]
    assert main(["gallery", "--out", "nowhere"]) == 2
    assert "nowhere is not a folder" in capsys.readouterr().err


def test_every_still_is_drawn_from_one_studio(tmp_path: Path) -> None:
    photo = np.random.default_rng(1).integers(0, 256, (16, 20, 3), dtype=np.uint8)
    studio = Studio(Subject(photo, seed=3))
    for still in STILLS:
        if still.name != "blocks":  # RedNet-50, drawn in the tests of figures
            figure = still.draw(studio)
            figure.savefig(tmp_path / "still.png")
            with Image.open(tmp_path / "still.png") as image:
                assert min(image.size) > 250
