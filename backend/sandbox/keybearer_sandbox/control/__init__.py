"""What tests steer and read: faults, counters, reset."""
