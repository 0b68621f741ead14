"""The bundled catalog as the estimator's entities, read once."""

from api.cli.calibrate import entities_of
from db.entries.files import load_catalog

ENTITIES = entities_of(load_catalog())
