"""AgentPool: a planner that sees workers and their calls and says what to do next, and the I/O around it."""
