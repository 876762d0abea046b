"""The pid file and its lock."""

import os

import pytest

from ganeti.daemon import DaemonError, pid_file
