"""Age of an engine build: the date of a measurement against the month that an estimate is for."""

from __future__ import annotations

#: Builds are dated in years before this month; an estimate is for a build of this date.
REFERENCE_YEAR = 2026 + 9 / 12
#: Age given to a row that states no date.
UNDATED_AGE_YEARS = 0.5


def age_years(date: str | None) -> float:
    """Years between a row's date (``YYYY``, ``YYYY-MM`` or longer) and the reference month, at least 0."""
    if not date:
        return UNDATED_AGE_YEARS
    month = int(date[5:7]) if len(date) >= 7 else 6
    return round(max(0.0, REFERENCE_YEAR - (int(date[:4]) + (month - 1) / 12)), 4)
