"""Invented patients with planted identifiers, and an answer key of what a de-identifier has to do with each.

people     who they are: names, numbers and addresses made by rule from a seed, in eight character sets
study      what they have: studies, series, dates, UIDs; the modules that every object has
volumes    CT, MR, PT, NM                  projections  CR, DX, MG, US, SC
documents  SR, encapsulated PDF            derived      RTSTRUCT, SEG, PR
font       text as pixels                    items      items of sequences, as PS3.3 has them
planting   identifiers in every place that PS3.15 Table E.1-1 and PS3.3 allow; graphics: in overlays
places     how the key names a place          required   the Types of PS3.3
key        the answers and their kinds         standard   what PS3.15 asks for, attribute by attribute
generate   all of it, into a folder         encoding   transfer syntaxes, shapes of sequences
outputs    what came out, found again        score      the answers held against it

The key is written from PS3.15 2026d and PS3.3. Nothing here imports the step that is scored.
"""
