import time

from nextscan.cli.progress import _Bars, _Lines, show_progress


def training(epoch, phase="training", **more):
    return {"phase": phase, "epoch": epoch, "epochs": 300, "remaining_seconds": 130.0, **more}


def test_lines_show_the_estimate_at_once_and_then_keep_quiet(capsys):
    lines = _Lines()
    lines(training(1, "estimate"))
    lines(training(2))
    lines({"phase": "reading"})
    assert capsys.readouterr().err == "estimate: epoch 1 of 300, about 2 min left\n"


def test_lines_speak_again_after_a_while(capsys, monkeypatch):
    lines = _Lines()
    monkeypatch.setattr(time, "monotonic", lambda: lines.spoke + 21)
    lines(training(50, train_loss=0.123456, validation_score=0.5))
    assert capsys.readouterr().err == "training: epoch 50 of 300, about 2 min left, loss 0.123, validation 0.5\n"


def test_without_a_terminal_progress_is_lines(capsys):
    with show_progress() as progress:
        progress({"phase": "estimate", "job": 0, "jobs": 12, "method": "secondgram", "remaining_seconds": 5400.0})
    assert capsys.readouterr().err == "secondgram: job 0 of 12, about 1 h 30 min left\n"


def test_bars_follow_the_counters_and_leave_when_done():
    from rich.progress import Progress

    with Progress(disable=True) as rich:
        bars = _Bars(rich)
        bars({"phase": "study", "job": 3, "jobs": 10})
        bars(training(30))
        assert [(task.completed, task.total) for task in rich.tasks] == [(3, 10), (30, 300)]
        assert rich.tasks[1].fields["left"] == "about 2 min left"
        bars(training(300, "done"))
        assert [task.description for task in rich.tasks] == ["study"]
