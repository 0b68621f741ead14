"""`fitgraph calibrate`: fit the open constants of the estimator on the measurements and write calibration.json."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from api.cli.exit_codes import FAILED
from db.entries import specs
from db.entries.files import Catalog, load_catalog
from db.entries.measurements import measured_rows, serving_rows
from estimator.accuracy.calibrate import calibrate
from estimator.accuracy.observations import Entities
from estimator.accuracy.serving.fit import fit_streams
from estimator.calibration.coefficients import DEFAULT_PATH


def entities_of(catalog: Catalog) -> Entities:
    """The entities of a catalog as the estimator reads them."""
    hosts = {slug: specs.host(entry) for slug, entry in catalog.hosts.items()}
    return Entities(
        models={
            slug: None if specs.missing_facts(entry) else specs.architecture(entry)
            for slug, entry in catalog.models.items()
        },
        accelerators={slug: specs.accelerator(entry) for slug, entry in catalog.gpus.items()},
        quants={slug: specs.quant(entry) for slug, entry in catalog.quants.items()},
        hosts=hosts,
        default_host=hosts[catalog.default_host],
    )


def data_hash(rows: Sequence[Mapping[str, Any]]) -> str:
    """Hash of the measured rows that a calibration was fitted on."""
    return hashlib.sha256(b"\n".join(orjson.dumps(row, option=orjson.OPT_SORT_KEYS) for row in rows)).hexdigest()


def calibrate_command(*, check: bool, only_streams: bool = False) -> int:
    """Fit and write, or with ``check`` compare with the committed file. Returns 1 when the file is not reproduced.

    ``only_streams`` fits several streams anew over the committed speed of one.
    """
    rows, serving, entities = list(measured_rows()), list(serving_rows()), entities_of(load_catalog())
    if only_streams:
        known = json.loads(DEFAULT_PATH.read_text(encoding="utf-8"))
        result = {**known, "streams": fit_streams(entities, serving, known, print)}
    else:
        result = calibrate(entities, rows, serving, print) | {"data_hash": data_hash(rows)}
    result |= {
        "serving_hash": data_hash(serving),
        "reference": "fitted by `fitgraph calibrate` on db/catalog/measurements",
    }
    text = json.dumps(result, indent=1, sort_keys=True) + "\n"
    if check:
        same = DEFAULT_PATH.read_text(encoding="utf-8") == text
        print("reproduced to the digit" if same else f"{DEFAULT_PATH.name} differs from what the measurements give")
        return 0 if same else FAILED
    DEFAULT_PATH.write_text(text, encoding="utf-8")
    print(f"wrote {DEFAULT_PATH.name}: {len(text):,} bytes", file=sys.stderr)
    return 0
