"""The checker's own test: a proxy between it and a sound server plants faults, and it must find each one."""
