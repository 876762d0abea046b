"""Work on nodes: on this machine, or on a simulated node.

agents  an agent for each node: its guests, disks, OS scripts and resources
osdef   OS definitions and their scripts
"""
