"""Runs a program that was made for Flask with bustapi in Flask's place.

``python launch.py SCRIPT ARGUMENTS`` or ``python launch.py -m MODULE ARGUMENTS``: what the
documentation says to put at the top of a program, for programs that are not ours to change.
"""

import os
import runpy
import sys

import bustapi.flask_compat

bustapi.flask_compat.install()

# As Python itself does for a script: its folder takes the place of this one.
if sys.argv[1] == "-m":
    sys.path[0] = os.getcwd()
    sys.argv = sys.argv[2:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
else:
    sys.argv = sys.argv[1:]
    sys.path[0] = os.path.dirname(os.path.realpath(sys.argv[0]))
    runpy.run_path(sys.argv[0], run_name="__main__")
