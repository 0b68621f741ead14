"""Tasks that Celery beat starts."""

from __future__ import annotations

from db.settings import Settings
from workers.app import app, beat_schedule


def test_beat_starts_nothing_by_default_and_what_is_asked_for() -> None:
    assert beat_schedule(Settings(refresh_interval_s=0, watch_interval_s=0)) == {}
    schedule = beat_schedule(Settings(refresh_interval_s=60, watch_interval_s=3600))
    assert {name: entry["schedule"] for name, entry in schedule.items()} == {"refresh": 60, "watch": 3600}
    app.loader.import_default_modules()
    assert {entry["task"] for entry in schedule.values()} <= set(app.tasks)
