"""Oracle, cascades, routers, their tuning and certification: pure functions of arrays."""
