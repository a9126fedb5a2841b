"""Every table of the crosswalk, commented. Times are seconds since 1970-01-01 UTC, by the database's clock.

All of it is committed with full sync: none of it can be derived again, and a name that was given must never be given
to another patient.
"""

from __future__ import annotations

import sqlalchemy as sa

VERSION = 1
"""Of these tables; a newer one is refused."""

metadata = sa.MetaData()

about = sa.Table(
    "crosswalk_about",
    metadata,
    sa.Column("key", sa.Text, primary_key=True),  # schema | id
    sa.Column("value", sa.Text, nullable=False),
)

key = sa.Table(
    "crosswalk_key",
    metadata,
    # Keys by fingerprint (node.secret), never the keys. One is in use: the one that is not retired.
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("since", sa.Float, nullable=False),
    sa.Column("retired", sa.Float),
)

patient = sa.Table(
    "crosswalk_patient",
    metadata,
    # A patient of an issuer; or, with an empty patient_id, the unknown patient of one study.
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("issuer", sa.Text, nullable=False),  # as it came first
    sa.Column("patient_id", sa.Text, nullable=False),  # as it came first
    sa.Column("study", sa.Text, nullable=False),  # Study Instance UID; empty where there is a patient_id
    sa.Column("issuer_folded", sa.Text, nullable=False),  # node.dicom.text.folded: what is compared
    sa.Column("patient_id_folded", sa.Text, nullable=False),
    sa.Column("key", sa.Text, sa.ForeignKey(key.c.id), nullable=False),  # of all that is keyed for this patient
    sa.Column("since", sa.Float, nullable=False),
    sa.UniqueConstraint("issuer_folded", "patient_id_folded", "study"),
)

name = sa.Table(
    "crosswalk_name",
    metadata,
    # A patient's pseudonym in one scheme: `key`, `number:SITE-`, `table`, `table:TRIAL`. Of two
    # patients none has the same in any scheme but `key`; see crosswalk.py. Older programs wrote `table:/path/of.csv`.
    sa.Column("patient", sa.Integer, sa.ForeignKey(patient.c.id), primary_key=True),
    sa.Column("scheme", sa.Text, primary_key=True),
    sa.Column("pseudonym", sa.Text, nullable=False),
    sa.Column("since", sa.Float, nullable=False),
    sa.UniqueConstraint("scheme", "pseudonym"),
)

study = sa.Table(
    "crosswalk_study",
    metadata,
    # With which key the UIDs of a study are replaced, and whether any of its instances had a Patient ID.
    sa.Column("study", sa.Text, primary_key=True),  # Study Instance UID, as received
    sa.Column("key", sa.Text, sa.ForeignKey(key.c.id), nullable=False),
    sa.Column("identified", sa.Boolean, nullable=False),
    sa.Column("since", sa.Float, nullable=False),
)

number = sa.Table(
    "crosswalk_number",
    metadata,
    # The highest number that was given, by what is written before it. Only rises.
    sa.Column("prefix", sa.Text, primary_key=True),
    sa.Column("last", sa.BigInteger, nullable=False),
)

use = sa.Table(
    "crosswalk_use",
    metadata,
    # Who looked, and when. Never at whom.
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("at", sa.Float, nullable=False),
    sa.Column("who", sa.Text, nullable=False),  # user@host
    sa.Column("act", sa.Text, nullable=False),  # find | export | import | rotate | begin-anew
    sa.Column("entries", sa.Integer, nullable=False),  # shown, written, read, kept
)
