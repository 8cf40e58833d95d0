"""All campaigns, in the order in which they run. A new one is a line here."""

from faults import clock, crash, rolling, turn_points
from faults.campaign import Campaign

CAMPAIGNS: tuple[Campaign, ...] = (
    crash.CAMPAIGN,
    turn_points.CAMPAIGN,
    clock.CAMPAIGN,
    rolling.CAMPAIGN,
)
