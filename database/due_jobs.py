"""Jobs that are due, many at once; what happens to one is in models.py."""

import time
from collections.abc import Iterable
from typing import Any

from bson import ObjectId

from database.models import Job, Stored

# What a worker has to know before it claims a job.
FIELDS = ["kind", "arguments", "lane", "created_at"]


def find_due(
    limit: int, skipped_lanes: Iterable[str | None], queue: str | None = None
) -> list[Stored]:
    """Return the jobs of a queue that have been due for longest, without those of some lanes.

    None as the queue, and among the lanes, means the jobs that have none.
    """
    due = _due(queue=queue, lane={"$nin": [*skipped_lanes]})
    return list(Job._get_collection().find(due, FIELDS, sort=[("run_at", 1)], limit=limit))


def delete_due(job_ids: Iterable[ObjectId]) -> int:
    """Delete those of the jobs that no worker has claimed; return their number."""
    due = _due(_id={"$in": [*job_ids]})
    return int(Job._get_collection().delete_many(due).deleted_count)


def _due(**condition: Any) -> Stored:
    return {"state": Job.QUEUED, "run_at": {"$lte": time.time()}, **condition}
