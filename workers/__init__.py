"""Celery workers that plan, compute and publish fits."""
