"""Every table of the node, commented. SQLAlchemy Core, the same for SQLite and PostgreSQL.

Two kinds of rows. What can be derived again from the spool (receipts, members, units that are open) is
committed without waiting for the disk. What cannot (a unit's generation, jobs, obligations, deliveries,
what an operator did) is committed with full sync before the outside sees its effect.

Times are seconds since 1970-01-01 UTC. Rows outlive the files they speak of: they are the ledger's
tombstones.
"""

from __future__ import annotations

import sqlalchemy as sa

VERSION = 4
"""Of this schema; `versions.py` brings older ones here and refuses newer ones."""

BY_A_PERSON = "by a person"
"""The reason of what an operator dropped."""

SAME_BYTES = "same bytes"
SAME_CONTENT = "same content, encoded otherwise"
"""The reasons of duplicates; with a file, and one of them, its file can go: see collect.once."""

metadata = sa.MetaData()

meta = sa.Table(
    "node_meta",
    metadata,
    sa.Column("key", sa.Text, primary_key=True),  # schema | secret | crosswalk | restored | certificates | folders
    sa.Column("value", sa.Text, nullable=False),
)

receipt = sa.Table(
    "node_receipt",
    metadata,
    # One acknowledged C-STORE, or one file taken from a watched folder.
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("received", sa.Float, nullable=False),
    sa.Column("calling_ae", sa.Text, nullable=False),
    sa.Column("called_ae", sa.Text, nullable=False),
    sa.Column("sender", sa.Text, nullable=False),
    sa.Column("sop_class", sa.Text, nullable=False),
    sa.Column("sop_instance", sa.Text, nullable=False),
    sa.Column("study", sa.Text, nullable=False),
    sa.Column("series", sa.Text, nullable=False),
    sa.Column("transfer_syntax", sa.Text, nullable=False),
    sa.Column("size", sa.BigInteger, nullable=False),  # bytes of the data set
    sa.Column("sha256", sa.Text, nullable=False),  # of the data set as received
    sa.Column("path", sa.Text),  # below spool/; null once retention removed the file
    sa.Column("header", sa.LargeBinary),  # node.dicom.header.pack; null once the file is gone
    # current     belongs to its units
    # unjudged    same SOP Instance UID as `against`, other bytes: not yet compared
    # duplicate   same content as `against`
    # superseded  other content came, and `duplicates` decided for it
    # held        waits for a person, see `reason`
    # dropped     a person gave it up
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False, server_default=""),
    sa.Column("against", sa.Text),
    sa.Index("node_receipt_instance", "sop_instance"),
    sa.Index("node_receipt_study", "study"),
    sa.Index("node_receipt_series", "series"),
    sa.Index("node_receipt_state", "state"),
)
# Two processes that index the same instance at the same moment: the second one's transaction fails here,
# is repeated, and then sees the first one's row.
sa.Index(
    "node_receipt_current",
    receipt.c.called_ae,
    receipt.c.sop_instance,
    unique=True,
    sqlite_where=receipt.c.state == "current",
    postgresql_where=receipt.c.state == "current",
)

# Duplicates whose file is still in the spool beside that of the first: none, most of the time.
# Written out, not bound: only then do the planners see that the index is for such a query.
twice = sa.and_(
    receipt.c.state == sa.literal_column("'duplicate'"),
    receipt.c.path.is_not(None),
    receipt.c.reason.in_([sa.literal_column(f"'{reason}'") for reason in (SAME_BYTES, SAME_CONTENT)]),
)
sa.Index("node_receipt_twice", receipt.c.state, receipt.c.id, sqlite_where=twice, postgresql_where=twice)

unit = sa.Table(
    "node_unit",
    metadata,
    # What routes work on. Open units wait for completion; a late arrival opens generation + 1.
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
    sa.Column("kind", sa.Text, nullable=False),  # study | series | instance
    sa.Column("called_ae", sa.Text, nullable=False),
    sa.Column("uid", sa.Text, nullable=False),
    sa.Column("study", sa.Text, nullable=False),
    sa.Column("series", sa.Text, nullable=False),  # empty for a study
    sa.Column("generation", sa.Integer, nullable=False),
    sa.Column("state", sa.Text, nullable=False),  # open | complete
    sa.Column("count", sa.Integer, nullable=False),  # instances of this generation; also its change mark
    sa.Column("first_at", sa.Float, nullable=False),  # database clock
    sa.Column("last_at", sa.Float, nullable=False),  # database clock
    sa.UniqueConstraint("kind", "called_ae", "uid", name="node_unit_key"),
    sa.Index("node_unit_open", "state", "last_at"),
    sa.Index("node_unit_uid", "uid"),
)

member = sa.Table(
    "node_member",
    metadata,
    # Which instance came with which generation of which unit.
    sa.Column("unit", sa.BigInteger, sa.ForeignKey("node_unit.id"), primary_key=True),
    sa.Column("receipt", sa.Text, sa.ForeignKey("node_receipt.id"), primary_key=True),
    sa.Column("generation", sa.Integer, nullable=False),
    sa.Index("node_member_receipt", "receipt"),
)

completion = sa.Table(
    "node_completion",
    metadata,
    # What closed each generation, and what every route said of it.
    sa.Column("unit", sa.BigInteger, sa.ForeignKey("node_unit.id"), primary_key=True),
    sa.Column("generation", sa.Integer, primary_key=True),
    sa.Column("at", sa.Float, nullable=False),
    sa.Column("count", sa.Integer, nullable=False),
    sa.Column("evidence", sa.Text, nullable=False),
    sa.Column("verdicts", sa.Text, nullable=False),  # JSON: [[route, matched, [because, ...]], ...]
)

job = sa.Table(
    "node_job",
    metadata,
    # One unit generation through one route.
    sa.Column("id", sa.Text, primary_key=True),  # <unit>.<generation>.<route>
    sa.Column("unit", sa.BigInteger, sa.ForeignKey("node_unit.id"), nullable=False),
    sa.Column("generation", sa.Integer, nullable=False),
    sa.Column("route", sa.Text, nullable=False),
    sa.Column("plan", sa.Text, nullable=False),  # JSON of model.Plan, frozen
    sa.Column("delta", sa.Boolean, nullable=False),  # works on late arrivals alone
    sa.Column("state", sa.Text, nullable=False),  # queued | running | done | held | dropped
    sa.Column("reason", sa.Text, nullable=False, server_default=""),
    sa.Column("tries", sa.Integer, nullable=False),  # how often it was given to the engine; 0: a person decides first
    sa.Column("created", sa.Float, nullable=False),
    sa.Column("finished", sa.Float),
    sa.Index("node_job_unit", "unit", "generation"),
    sa.Index("node_job_state", "state"),
)

history = sa.Table(
    "node_history",
    metadata,
    # What happened to a job or a delivery, in words without patient data, for `explain`.
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
    sa.Column("subject", sa.Text, nullable=False),  # job or delivery id, unit:<id>, receipt id
    sa.Column("at", sa.Float, nullable=False),
    sa.Column("what", sa.Text, nullable=False),  # step | delivery | act | note
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("seconds", sa.Float),
    sa.Index("node_history_subject", "subject"),
)

obligation = sa.Table(
    "node_obligation",
    metadata,
    # What is owed for one instance of one job: to a destination, or as the route's output.
    sa.Column("job", sa.Text, sa.ForeignKey("node_job.id"), primary_key=True),
    sa.Column("receipt", sa.Text, sa.ForeignKey("node_receipt.id"), primary_key=True),
    sa.Column("target", sa.Text, primary_key=True),  # destination name, or "output"
    # in_job | waiting | delivered | produced | dropped | held | ignored | replaced (by a later generation)
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False, server_default=""),
    # Whether what holds it is its delivery; else its job does, and what becomes of files sent earlier decides nothing.
    sa.Column("in_outbox", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Index("node_obligation_receipt", "receipt"),
    sa.Index("node_obligation_state", "state"),
)

delivery = sa.Table(
    "node_delivery",
    metadata,
    # What one job sends to one destination.
    sa.Column("id", sa.Text, primary_key=True),  # <job>><destination>
    sa.Column("job", sa.Text, sa.ForeignKey("node_job.id"), nullable=False),
    sa.Column("destination", sa.Text, nullable=False),
    sa.Column("disclosure", sa.Text, nullable=False),  # identified | deidentified, as the job recorded it
    sa.Column("state", sa.Text, nullable=False),  # waiting | delivered | held | dropped
    sa.Column("reason", sa.Text, nullable=False, server_default=""),
    sa.Column("tries", sa.Integer, nullable=False),  # how often it was given to the engine
    sa.Column("failures", sa.Integer, nullable=False),  # in a row, since something got through
    sa.Column("failing_since", sa.Float),
    sa.Column("next_at", sa.Float),
    sa.Column("created", sa.Float, nullable=False),
    sa.Index("node_delivery_state", "state"),
    sa.Index("node_delivery_job", "job"),
)

parcel = sa.Table(
    "node_parcel",
    metadata,
    # One file of a delivery; its bytes are a hard link in outbox/.
    sa.Column("delivery", sa.Text, sa.ForeignKey("node_delivery.id"), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("step", sa.Integer, nullable=False),  # of the plan: a route may forward to one destination twice
    sa.Column("path", sa.Text, nullable=False),  # below outbox/
    sa.Column("name", sa.Text, nullable=False),  # file name as the step made it
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("sop_class", sa.Text, nullable=False, server_default=""),
    sa.Column("sop_instance", sa.Text, nullable=False, server_default=""),
    sa.Column("transfer_syntax", sa.Text, nullable=False, server_default=""),
    sa.Column("fields", sa.Text, nullable=False),  # JSON: header values for a folder's layout
    sa.Column("content", sa.Text, nullable=False),  # SHA-256 of the bytes that are sent
    # identified | deidentified, '' where an older program wrote it. A route may forward to one destination twice.
    sa.Column("disclosure", sa.Text, nullable=False, server_default=""),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("sources", sa.Text, nullable=False),  # JSON list of receipts
    sa.Column("state", sa.Text, nullable=False),  # waiting | delivered | held | dropped
    sa.Column("reason", sa.Text, nullable=False, server_default=""),
    sa.Column("place", sa.Text, nullable=False, server_default=""),  # where a folder holds it
)
# What is counted for every look at `status` and /metrics: few of many.
waiting = parcel.c.state == sa.literal_column("'waiting'")
sa.Index("node_parcel_waiting", parcel.c.delivery, sqlite_where=waiting, postgresql_where=waiting)

sent = sa.Table(
    "node_sent",
    metadata,
    # What an application entity has acknowledged: a rerun sends only what is not here.
    sa.Column("destination", sa.Text, primary_key=True),  # AE@host:port: the peer, not its name in rules.yaml
    sa.Column("instance", sa.Text, primary_key=True),  # SOP Instance UID
    sa.Column("content", sa.Text, nullable=False),  # SHA-256 of what it has now
    sa.Column("at", sa.Float, nullable=False),
)

produced = sa.Table(
    "node_produced",
    metadata,
    # Instances that this node made: recognised when they come back, and held as a loop.
    sa.Column("sop_instance", sa.Text, primary_key=True),
    sa.Column("content", sa.Text, primary_key=True),  # SHA-256 of the data set
    sa.Column("renamed", sa.Boolean, nullable=False),  # its UID is ours, so whatever carries it is a loop
)

published = sa.Table(
    "node_published",
    metadata,
    # Who owns a path in a destination folder.
    sa.Column("destination", sa.Text, primary_key=True),
    sa.Column("path", sa.Text, primary_key=True),
    sa.Column("owner", sa.Text, nullable=False),  # <unit>.<route>
    sa.Index("node_published_owner", "destination", "owner"),
)

commitment = sa.Table(
    "node_commitment",
    metadata,
    # One request for storage commitment (PS3.4 J), from its N-ACTION to the N-EVENT-REPORT that answers it.
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
    sa.Column("transaction", sa.Text, nullable=False),  # Transaction UID (0008,1195)
    sa.Column("digest", sa.Text, nullable=False),  # SHA-256 of what it references: tells it from a second use
    sa.Column("calling_ae", sa.Text, nullable=False),
    sa.Column("called_ae", sa.Text, nullable=False),
    sa.Column("sender", sa.Text, nullable=False),
    sa.Column("proof", sa.Text, nullable=False),  # stored | delivered | downstream, as in force when it came
    sa.Column("at", sa.Float, nullable=False),  # database clock
    sa.Column("state", sa.Text, nullable=False),  # open | answered | given_up
    sa.Column("reason", sa.Text, nullable=False, server_default=""),  # why the last report did not get through
    sa.Column("next_at", sa.Float, nullable=False),  # the report is not sent before
    sa.Column("tries", sa.Integer, nullable=False),  # reports that did not get through
    sa.Column("failing_since", sa.Float),
    sa.Column("claimed", sa.Text, nullable=False, server_default=""),  # the process that sends the report now
    sa.UniqueConstraint("calling_ae", "transaction", "digest", name="node_commitment_key"),
    sa.Index("node_commitment_state", "state"),
    sa.Index("node_commitment_at", "at"),
)

commitment_item = sa.Table(
    "node_commitment_item",
    metadata,
    # One instance that a request references, and what became of it.
    sa.Column("commitment", sa.BigInteger, sa.ForeignKey("node_commitment.id"), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),  # place in the request, from 1
    sa.Column("sop_class", sa.Text, nullable=False),
    sa.Column("sop_instance", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),  # waiting | committed | failed | dropped by a person
    sa.Column("reason", sa.Integer),  # Failure Reason (0008,1197), PS3.3 C.14.1.1
    sa.Column("because", sa.Text, nullable=False, server_default=""),  # the same in words, for `explain`
    sa.Index("node_commitment_item_instance", "sop_instance"),
)

asked = sa.Table(
    "node_asked",
    metadata,
    # A request for storage commitment of our own: what one destination is asked for one commitment.
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
    sa.Column("commitment", sa.BigInteger, sa.ForeignKey("node_commitment.id"), nullable=False),
    sa.Column("destination", sa.Text, nullable=False),  # its name in rules.yaml
    sa.Column("ae_title", sa.Text, nullable=False),  # who may answer
    sa.Column("transaction", sa.Text, nullable=False, unique=True),  # ours; a new one after each answer
    sa.Column("state", sa.Text, nullable=False),  # due | asked | over
    sa.Column("reason", sa.Text, nullable=False, server_default=""),
    sa.Column("next_at", sa.Float, nullable=False),  # asked, or asked again, not before
    sa.Column("tries", sa.Integer, nullable=False),
    sa.Column("claimed", sa.Text, nullable=False, server_default=""),
    sa.UniqueConstraint("commitment", "destination", name="node_asked_key"),
    sa.Index("node_asked_state", "state"),
)

asked_item = sa.Table(
    "node_asked_item",
    metadata,
    sa.Column("asked", sa.BigInteger, sa.ForeignKey("node_asked.id"), primary_key=True),
    sa.Column("sop_instance", sa.Text, primary_key=True),
    sa.Column("sop_class", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),  # waiting | committed | failed
    sa.Column("reason", sa.Integer),  # Failure Reason of the destination
)

procedure_step = sa.Table(
    "node_procedure_step",
    metadata,
    # A Modality Performed Procedure Step (PS3.4 F.7) as N-CREATE and N-SET left it; no patient data.
    sa.Column("sop_instance", sa.Text, primary_key=True),
    sa.Column("calling_ae", sa.Text, nullable=False),
    sa.Column("called_ae", sa.Text, nullable=False),
    sa.Column("study", sa.Text, nullable=False),  # '' when it references none or several
    sa.Column("state", sa.Text, nullable=False),  # IN PROGRESS | COMPLETED | DISCONTINUED
    sa.Column("series", sa.Text, nullable=False),  # JSON: [[Series Instance UID, [SOP Instance UID, ...]], ...]
    sa.Column("at", sa.Float, nullable=False),  # database clock, of the latest message
    sa.Index("node_procedure_step_study", "study"),
    sa.Index("node_procedure_step_at", "at"),
)

expected = sa.Table(
    "node_expected",
    metadata,
    # What a source says a series or study has: evidence for completion.
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
    sa.Column("source", sa.Text, nullable=False),  # commitment | mpps | find | header
    sa.Column("peer", sa.Text, nullable=False),  # its AE title
    sa.Column("called_ae", sa.Text, nullable=False),
    sa.Column("study", sa.Text, nullable=False),
    sa.Column("series", sa.Text, nullable=False),  # '' when it speaks of the study as a whole
    sa.Column("count", sa.Integer, nullable=False),
    sa.Column("instances", sa.Text),  # JSON list of SOP Instance UIDs; null when only the count is known
    sa.Column("at", sa.Float, nullable=False),  # database clock
    sa.Column("reference", sa.Text, nullable=False, server_default=""),  # MPPS SOP Instance UID, or ''
    sa.UniqueConstraint("source", "peer", "called_ae", "study", "series", "reference", name="node_expected_key"),
    sa.Index("node_expected_study", "study"),
    sa.Index("node_expected_series", "series"),
    sa.Index("node_expected_at", "at"),
)

reading = sa.Table(
    "node_reading",
    metadata,
    # One time that a source was asked by C-FIND what it has of a study, and what it said.
    # Its row is written before it is asked: of several processes one asks.
    sa.Column("peer", sa.Text, primary_key=True),  # AE title of the peer in rules.yaml
    sa.Column("called_ae", sa.Text, primary_key=True),  # of ours, that the study came to
    sa.Column("study", sa.Text, primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),  # from 1
    sa.Column("at", sa.Float, nullable=False),  # when it was asked, database clock
    sa.Column("answered", sa.Float),  # database clock; null: not yet
    # JSON: {"study": count or null, "series": {UID: count or null}, "instances": {series: [UIDs]}}; null: none
    sa.Column("answer", sa.Text),
    sa.Column("failure", sa.Text, nullable=False, server_default=""),
    sa.Column("claimed", sa.Text, nullable=False, server_default=""),  # the process that asks; '': an older program's
    sa.Index("node_reading_answered", "answered"),
)

pull = sa.Table(
    "node_pull",
    metadata,
    # One time that missing instances were asked for, by C-MOVE or C-GET.
    sa.Column("peer", sa.Text, primary_key=True),
    sa.Column("called_ae", sa.Text, primary_key=True),
    sa.Column("study", sa.Text, primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),  # from 1
    sa.Column("at", sa.Float, nullable=False),  # database clock
    sa.Column("how", sa.Text, nullable=False),  # C-MOVE | C-GET
    sa.Column("missing", sa.Integer, nullable=False),  # how many instances
    sa.Column("wanted", sa.Text, nullable=False),  # JSON: {series: [UIDs], or null for all of it}
    sa.Column("finished", sa.Float),  # null while it goes on
    sa.Column("result", sa.Text, nullable=False, server_default=""),  # in words
    sa.Column("claimed", sa.Text, nullable=False, server_default=""),  # the process that pulls
)

certificate = sa.Table(
    "node_certificate",
    metadata,
    # What de-identification did to a unit, sealed, one after the other for each node process.
    sa.Column("chain", sa.Text, primary_key=True),  # node.certificate.keys.Keys.chain of the process
    sa.Column("number", sa.Integer, primary_key=True),  # from 1
    sa.Column("job", sa.Text, sa.ForeignKey("node_job.id")),  # null: made by `process`, which has none
    sa.Column("about", sa.Text, nullable=False),  # without a job: unit and route, as an HMAC; else empty
    sa.Column("part", sa.Integer, nullable=False),  # of the plan: the last step whose output it certifies
    sa.Column("issued", sa.Float, nullable=False),  # database clock
    sa.Column("statement", sa.Text, nullable=False),  # SHA-256 of what it says: equal work is certified once
    sa.Column("sha256", sa.Text, nullable=False),  # of the document
    sa.Column("document", sa.Text, nullable=False),  # as exported, byte for byte
    sa.Column("inner", sa.LargeBinary, nullable=False),  # what stays in the node, JSON compressed by zlib
    sa.Index("node_certificate_job", "job", "about"),
)

certificate_head = sa.Table(
    "node_certificate_head",
    metadata,
    # The last certificate of each chain. Sealed, so that nobody can shorten a chain without a trace.
    sa.Column("chain", sa.Text, primary_key=True),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("sha256", sa.Text, nullable=False),
    sa.Column("seal", sa.Text, nullable=False),
)
