"""SecretRotation: a planner that sees the world and says what to do next, and the I/O around it."""
