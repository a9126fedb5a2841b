"""Who became whom: the only place where a pseudonym leads back to a patient. A database of its own.

schema     its tables
doors      the database, opened and brought up to date
crosswalk  what a step asks: the key and the name of a patient, given once and kept
foresight  what it would answer, with nothing written
studies    with which key the UIDs of a study are replaced
records    what a person asks: find, export, import; each use recorded
table      the crosswalk as CSV: text -> entries, or problems with their lines
rotation   another key for the patients to come
mark       by what the main database knows it again, so that a lost one is missed
"""

from __future__ import annotations

from node.crosswalk.crosswalk import Crosswalk
from node.crosswalk.foresight import Foresight

__all__ = ["Crosswalk", "Foresight"]
