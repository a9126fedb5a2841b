"""De-identification by PS3.15 Annex E: fails closed, keyed, deterministic.

step        the step: its options, one instance at a time, what is held
options     the options of PS3.15 E.3: their codes, and which exclude each other
actions     what can be done to an attribute
profile     Table E.1-1 and the options, read for an attribute of a Type
plan        profile, recipe and rules -> what to do with each attribute; pure, compiled once
recipe      a deid recipe on top: its lines -> rules, or problems with file and line
fields      which attributes a recipe's line means
rules       site rules of rules.yaml, laid over the recipe; selectors: which attributes they mean
permitted   what a recipe or a rule may do to an attribute
source      a file opened: its data set in little endian, big endian and deflated ones converted
engine      a plan applied to the encoded bytes of a data set and all it nests; memory: what it did before
scope       what holds within a data set or an item; decision: what becomes of one element
walk        the same plan applied by pydicom, the reference for engine
header      the elements by their tags, on the bytes; plain: found by pydicom
written     elements as the engine gives them; output: to a file, long stretches from file to file
refused     what is held before anything is changed; what lies around pixels and is none
changes     what shift, clean and hash make of one value
content     the items of structured content
cleaning    text without what identifies: by form (patterns), by what the data set names (known, identifying),
            and by the words that stay (vocabulary)
shifting    dates and times moved by a patient's amount; ages: over 89 in one class
values      dummies by value representation
pseudonyms  keyed UIDs, patient identifiers and amounts of days
patients    who each patient becomes: key, name and days, by key, lookup table or crosswalk
lookup      a site's own table of pseudonyms
reversible  the original attributes, sealed for one recipient, and back
coding      whose code meanings may stay
text        character sets, strictly
burned_in   what may show a name where no header tells, by image_facts; without_text: the kinds that do not
pixels      what of an image has to go, and the cleaning of one file; its rules are in
            pixel_rules, deid_filter, ctp_script and device, its options in pixel_options
recognizable  what may show a face waits: by kind and by regions, or by what the site has reviewed
evidence    what the output says was done to it
"""

from node.steps.anonymize.step import Anonymize

__all__ = ["Anonymize"]
