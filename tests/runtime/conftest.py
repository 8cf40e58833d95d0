"""Loads the profiles of Hypothesis before the tests that use them."""

import core.profiles  # noqa: F401
