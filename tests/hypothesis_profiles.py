"""How hard Hypothesis tries. `pytest tests/core --hypothesis-profile=long --timeout=0` plays more and longer games.

There is no time limit for a single example, since a busy machine is no fault of the code; pytest limits each test.
"""

from hypothesis import settings

settings.register_profile("quick", deadline=None)
settings.register_profile("long", deadline=None, max_examples=5_000, stateful_step_count=200)

if settings.get_current_profile_name() == "default":
    settings.load_profile("quick")
