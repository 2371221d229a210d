"""Have a message that was lost sent again after seconds, not after half a minute.

A killed broker may forget the messages of its last second, and a worker that is killed before it
has claimed a job takes the message along.
"""

from datetime import timedelta

from app.jobs import transitions

transitions.DISPATCH_AGAIN_FIRST = timedelta(seconds=5)
transitions.DISPATCH_AGAIN_LAST = timedelta(seconds=15)
