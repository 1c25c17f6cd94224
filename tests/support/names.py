"""Names that no other test has."""

import uuid


def name(prefix):
    return f"{prefix}-{uuid.uuid4().hex[:8]}"
