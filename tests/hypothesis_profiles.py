"""How hard Hypothesis tries: quickly for `make test`, and again with more examples for `make thorough`.

`pytest tests/core --hypothesis-profile=long --timeout=0` plays more and longer games. A test that tries more or fewer
examples than others says so by a factor of `settings.default.max_examples`, which is that of the profile.

There is no time limit for a single example, since a busy machine is no fault of the code; pytest limits each test.
"""

from hypothesis import settings

settings.register_profile("quick", deadline=None, max_examples=20)
settings.register_profile("thorough", deadline=None, max_examples=100)
settings.register_profile("long", deadline=None, max_examples=5_000, stateful_step_count=200)

if settings.get_current_profile_name() in {"default", "ci"}:  # none was asked for
    settings.load_profile("quick")
