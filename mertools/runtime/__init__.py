"""The machine: devices, memory, processes and clusters."""
