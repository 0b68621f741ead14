"""The bundled catalog as the estimator's entities, read once."""

from api.cli.calibrate import entities_of
from tests.support.catalogs import CATALOG

ENTITIES = entities_of(CATALOG)
