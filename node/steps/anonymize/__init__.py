"""De-identification by PS3.15 Annex E: fails closed, keyed, deterministic.

step       the step: its options, one instance at a time, what is held
plan       options and recipe -> what to do with each attribute; pure, compiled once
recipe     a deid recipe on top: its lines -> rules, or problems with file and line
fields     which attributes a recipe's line means
walk       a plan applied to a data set and all it nests
values     dummies by value representation
pseudonyms keyed UIDs and patient identifiers
coding     whose code meanings may stay
text       character sets, strictly
burned_in  what may show a name where no header tells
pixels     what of an image has to go, and the cleaning of one file; its rules are in
           pixel_rules, deid_filter, ctp_script and device, its options in pixel_options
evidence   what the output says was done to it
"""

from node.steps.anonymize.step import Anonymize

__all__ = ["Anonymize"]
