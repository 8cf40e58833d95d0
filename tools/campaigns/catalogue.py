"""All campaigns, in the order in which they run. A new one is a line here."""

from campaigns import (
    cancelled_waits,
    clock,
    crash,
    disk,
    failover,
    held,
    herd,
    hostile,
    lost_answers,
    network,
    no_standby,
    plans,
    queues,
    rolling,
    skewed_clocks,
    takeover,
    turn_points,
)
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
    failover.CAMPAIGN,
    cancelled_waits.CAMPAIGN,
    lost_answers.CAMPAIGN,
    skewed_clocks.CAMPAIGN,
)

BY_NAME: tuple[Campaign, ...] = (no_standby.CAMPAIGN, takeover.CAMPAIGN)
"""Those that run where they are asked for by name."""
