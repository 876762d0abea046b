"""What is done on a node: this machine, or a simulated one.

agents  what a node answers and does: guests, disks, OS scripts, figures
osdef   OS definitions and the scripts that they bring
"""
