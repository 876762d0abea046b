"""The requests that ``ask.py`` sends to a server, in their order.

Name -> (method, path, body, user, password, media type); omitted parts are those of a good client.
They change what they find, cheaply, and restore it. Imports none of our modules; runs with any
Python 3.
"""

import case_creation
import case_objects
import case_verbs

CASES = {**case_verbs.CASES, **case_objects.CASES, **case_creation.CASES}
assert len(CASES) == sum(
    len(module.CASES) for module in (case_verbs, case_objects, case_creation)
), "two have one name"
