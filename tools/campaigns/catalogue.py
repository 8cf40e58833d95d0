"""All campaigns, in the order in which they run. A new one is a line here."""

from campaigns import (
    backups,
    cancelled_waits,
    clock,
    crash,
    disk,
    failover,
    held,
    herd,
    hostile,
    joining,
    keyless,
    lost_answers,
    mixture,
    network,
    no_standby,
    partitions,
    plans,
    queues,
    rolling,
    rolling_servers,
    skewed_clocks,
    stopped_servers,
    takeover,
    turn_points,
    two_primaries,
    webhooks,
)
from campaigns.campaign import Campaign

CAMPAIGNS: tuple[Campaign, ...] = (
    crash.CAMPAIGN,
    turn_points.CAMPAIGN,
    disk.CAMPAIGN,
    backups.CAMPAIGN,
    clock.CAMPAIGN,
    rolling.CAMPAIGN,
    network.CAMPAIGN,
    hostile.CAMPAIGN,
    herd.CAMPAIGN,
    held.CAMPAIGN,
    queues.CAMPAIGN,
    plans.CAMPAIGN,
    webhooks.CAMPAIGN,
    failover.CAMPAIGN,
    no_standby.CAMPAIGN,
    cancelled_waits.CAMPAIGN,
    lost_answers.CAMPAIGN,
    skewed_clocks.CAMPAIGN,
    takeover.CAMPAIGN,
    stopped_servers.CAMPAIGN,
    rolling_servers.CAMPAIGN,
    keyless.CAMPAIGN,
)

BY_NAME: tuple[Campaign, ...] = (
    partitions.CAMPAIGN,
    two_primaries.CAMPAIGN,
    joining.CAMPAIGN,
    mixture.CAMPAIGN,
)
"""Those that run where they are asked for by name."""
