"""Facts about the machine: its processes, sockets, GPUs, memory, disks."""
