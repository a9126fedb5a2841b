"""De-identification by PS3.15 Annex E: fails closed, keyed, deterministic.

step       the step: its options, one instance at a time, what is held
plan       options and recipe -> what to do with each attribute; pure, compiled once
recipe     a deid recipe on top: its lines -> rules, or problems with file and line
fields     which attributes a recipe's line means
source     a file opened: its data set in little endian, big endian and deflated ones converted
engine     a plan applied to the encoded bytes of a data set and all it nests
decision   what becomes of one element; pure
walk       the same plan applied by pydicom, the reference for engine
output     what the engine gives to a file, long stretches from file to file
values     dummies by value representation
pseudonyms keyed UIDs and patient identifiers
coding     whose code meanings may stay
text       character sets, strictly
burned_in  what may show a name where no header tells
evidence   what the output says was done to it
"""

from node.steps.anonymize.step import Anonymize

__all__ = ["Anonymize"]
