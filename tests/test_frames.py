"""From Enter to the loss in at most nine frames of ours (CONTRIBUTING.md lists them)."""

from __future__ import annotations

import sys
from pathlib import Path

from runner.training.objective import LinkPrediction, Step

SOURCE = Path(__file__).parents[1] / "src"
MOST = 9
FRAMES: list[str] = []


class Watching(LinkPrediction):
    """Notes the frames of ours that lead to its loss."""

    def loss(self, step: Step):
        frame = sys._getframe()
        FRAMES.clear()
        while frame is not None:
            path = Path(frame.f_code.co_filename).resolve()
            if path.is_relative_to(SOURCE):
                FRAMES.insert(0, f"{path.stem}.{frame.f_code.co_name}")
            frame = frame.f_back
        return super().loss(step)


def test_few_frames_lead_to_the_loss(runner):
    target = f"objective._target_={__name__}.Watching"
    code, _, err = runner("dataset=lesmis", "model=ncn", "train.epochs=1", "tracker=none", target)
    assert code == 0, err
    # The test calls what `__main__.main` calls; the loss is the last frame.
    frames = ["__main__.main", *FRAMES, "objective.loss"]
    assert frames[1] == "main.main" and len(frames) <= MOST, frames
    words = (SOURCE.parent / "CONTRIBUTING.md").read_text().split()
    assert " → ".join(f"`{frame}`" for frame in frames) in " ".join(words), frames
