"""What opcodes do: one file per opcode, named after it.

``OpInstanceStartup`` is carried out by ``LUInstanceStartup`` in
``instance_startup.py``; ``lu_for`` finds it by that rule, there is no table.
"""
