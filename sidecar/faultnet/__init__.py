"""Networks with faults, in userspace and by the kernel."""
