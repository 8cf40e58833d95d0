"""All campaigns, in the order in which they run. A new one is a line here."""

from campaigns import clock, crash, disk, held, herd, hostile, network, plans, queues, rolling, turn_points
from campaigns.campaign import Campaign

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
    queues.CAMPAIGN,
    plans.CAMPAIGN,
)
