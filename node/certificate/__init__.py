"""The certificate of what de-identification did: values, their encoding, their seal and their chain. Pure.

actions    what can be done to an attribute, and who is told of it while it is done
account    what was done to one instance, as text that travels with its file; several added up
keys       the keys of the certificate, derived from the node's secret
statement  what a certificate says, and what the node keeps to itself
document   a statement as the bytes of a sealed file, and what is wrong with such a file
chain      one certificate after the other, so that a missing one shows
"""
