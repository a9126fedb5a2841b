"""Durable work: jobs step by step, deliveries try by try, over crashes and across processes.

`node.engine.engine` is the only importer of DBOS in the node (and takes half a second to import).
"""
