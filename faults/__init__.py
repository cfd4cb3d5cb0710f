"""Faults on purpose: what a sweep goes through in a night on a shared machine, and what is left of it afterwards."""
