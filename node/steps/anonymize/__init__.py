"""De-identification by PS3.15 Annex E: fails closed, keyed, deterministic.

step       the step: its options, one instance at a time, what is held
plan       options and recipe -> what to do with each attribute; pure, compiled once
recipe     a deid recipe on top: its lines -> rules, or problems with file and line
fields     which attributes a recipe's line means
walk       a plan applied to a data set and all it nests
values     dummies by value representation
pseudonyms keyed UIDs, patient identifiers and amounts of days
patients   who each patient becomes: key, name and days, by key, lookup table or crosswalk
lookup     a site's own table of pseudonyms
shifting   dates and times moved by a patient's amount
ages       over 89 in one class
reversible the original attributes, sealed for one recipient, and back
coding     whose code meanings may stay
text       character sets, strictly
burned_in  what may show a name where no header tells
evidence   what the output says was done to it
"""

from node.steps.anonymize.step import Anonymize

__all__ = ["Anonymize"]
