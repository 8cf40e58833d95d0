"""What tests and tools use alike to reach a server: peers, processes, containers."""
