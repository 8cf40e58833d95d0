"""The version of the list of servers, which all of them tell alike."""


class Generation:
    """Counts the joins and the deaths of servers that there have ever been in the store.

    A client hears several servers, and asks one of them for the list. So a version means the same to all of them,
    whenever each has joined: the store numbers the joins, and whoever has joined and does not live has died.
    """

    def __init__(self) -> None:
        self._joins = 0
        """Those that there were by the last view: the row of the last one may be gone by now."""
        self.number = 1
        """The version; 1 until this server has met another."""

    def observe(self, last_join: int, living: int, *, has_company: bool) -> None:
        """Takes in the number of the last join that a view shows, and how many live by it."""
        self._joins = max(self._joins, last_join)
        if has_company or self.number > 1:
            deaths = self._joins - living
            self.number = max(self.number, self._joins + deaths)
