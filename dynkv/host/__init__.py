"""What the machine is: its processes, sockets, GPUs, memory, disks."""
