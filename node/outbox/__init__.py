"""What waits for a destination. Survives restarts; belongs to nobody's work folder.

    delivery    a waiting --b--> delivered      no parcel waits any more, and none is held
                waiting --c--> held             gave up, or a person must decide, see `reason`
                held    --d--> waiting          a person: retry, release; or its job ran again
                waiting, held --e--> dropped    a person: drop; or a later generation sends it again
                delivered --f--> waiting        its job ran again and made something new

A delivery is one job and one destination. Its parcels are hard links below outbox/<delivery>/, synced
before their rows, so that what a step's work folder does later, and retention, cannot take them away.
A parcel that the destination already acknowledged with the same content (`sent`) is never sent again.
"""

from node.outbox.outbox import Outbox
from node.outbox.taking import take_back
from node.outbox.values import BY_ITS_JOB, FILE_GONE, Delivery, Goods, Waiting, delivery_id

__all__ = ["BY_ITS_JOB", "FILE_GONE", "Delivery", "Goods", "Outbox", "Waiting", "delivery_id", "take_back"]
