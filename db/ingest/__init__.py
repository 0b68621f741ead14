"""Repositories and local files become catalog files: read, compared with their checkpoint, written, watched."""
