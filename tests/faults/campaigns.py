"""All campaigns, in the order in which they run. A new one is a line here."""

from faults import clock, crash, disk, held, herd, hostile, network, rolling, turn_points
from faults.campaign import Campaign

CAMPAIGNS: tuple[Campaign, ...] = (
    crash.CAMPAIGN,
    turn_points.CAMPAIGN,
    disk.CAMPAIGN,
    clock.CAMPAIGN,
    rolling.CAMPAIGN,
    network.CAMPAIGN,
    hostile.CAMPAIGN,
    herd.CAMPAIGN,
    held.CAMPAIGN,
)
