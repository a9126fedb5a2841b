"""Is this unit complete, and why? Pure: no clock, no database, no thread.

There is no end-of-study signal in C-STORE. So completeness is judged from evidence, and the evidence is kept:
`explain` shows what closed a unit. `facts` is what is known, `sources` what each kind of evidence makes of it,
`headers` what instances say of their series, `judge` the decision.
"""

from node.complete.facts import Announced, Evidence, Facts, HeaderCount, Missing, Policy, Reading, Statement
from node.complete.headers import header_counts
from node.complete.judge import Complete, Wait, judge
from node.complete.sources import LACKING, SOURCES

__all__ = [
    "LACKING",
    "SOURCES",
    "Announced",
    "Complete",
    "Evidence",
    "Facts",
    "HeaderCount",
    "Missing",
    "Policy",
    "Reading",
    "Statement",
    "Wait",
    "header_counts",
    "judge",
]
