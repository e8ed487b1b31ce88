"""The parts of a Discord that runs on loopback: world, gateway, REST, interactions, CDN, faults."""
