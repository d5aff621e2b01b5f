"""The tables, a noun a module.

Nothing here asks or changes anything; relationships are never loaded by surprise.
"""

from scripthut.store.models.backends import (
    BackendRow,
    CommandRow,
    JobOrder,
    LoginRow,
    PauseRow,
    SurveyRow,
)
from scripthut.store.models.base import UNSTORABLE, Base, Text, UTCDateTime
from scripthut.store.models.disk import DiskRemoval, DiskScan, DiskThing
from scripthut.store.models.messages import Channel, Follower, MessageRow
from scripthut.store.models.office import Lease, WatchRow
from scripthut.store.models.outputs import (
    Fetch,
    FrameRow,
    Log,
    MetricsRow,
    Output,
    Picture,
    PieceWish,
)
from scripthut.store.models.runs import EventRow, Run, Task, Usage, asked
from scripthut.store.models.sources import Checkout, SourceOrder, SourceRow, WorkflowRow

__all__ = [
    "UNSTORABLE",
    "BackendRow",
    "Base",
    "Channel",
    "Checkout",
    "CommandRow",
    "DiskRemoval",
    "DiskScan",
    "DiskThing",
    "EventRow",
    "Fetch",
    "Follower",
    "FrameRow",
    "JobOrder",
    "Lease",
    "Log",
    "LoginRow",
    "MessageRow",
    "MetricsRow",
    "Output",
    "PauseRow",
    "Picture",
    "PieceWish",
    "Run",
    "SourceOrder",
    "SourceRow",
    "SurveyRow",
    "Task",
    "Text",
    "UTCDateTime",
    "Usage",
    "WatchRow",
    "WorkflowRow",
    "asked",
]
