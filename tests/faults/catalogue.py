"""All faults: importing a family registers its faults in fault.REGISTRY. A new family is a file in families/ and a line here."""

from fault import REGISTRY

import families.clients  # noqa: F401
import families.clock  # noqa: F401
import families.cluster  # noqa: F401
import families.disks  # noqa: F401
import families.nats  # noqa: F401
import families.presence  # noqa: F401
import families.postgres  # noqa: F401
import families.processes  # noqa: F401
import families.gateways  # noqa: F401
import families.members  # noqa: F401
import families.retries  # noqa: F401

__all__ = ["REGISTRY"]
