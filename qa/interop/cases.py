"""The requests that ``ask.py`` makes of a server, in their order.

Name -> (method, path, body, user, password, media type); what is left out is as a good
client has it. They change what they find, cheaply, and leave it as it was. Needs nothing
of ours, and any Python 3.
"""

import case_creation
import case_objects
import case_verbs

CASES = {**case_verbs.CASES, **case_objects.CASES, **case_creation.CASES}
assert len(CASES) == sum(
    len(module.CASES) for module in (case_verbs, case_objects, case_creation)
), "two have one name"
