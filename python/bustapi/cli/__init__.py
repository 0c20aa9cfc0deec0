"""The command line: ``bustapi``, and the groups and decorators for commands of one's own.

A command finds its application through the `ScriptInfo` in click's context. Options that
influence how the application is loaded (``--env-file``, ``--app``, ``--debug``) are eager or
act through environment variables, so that they come before it is imported.

This module has the names of ``flask.cli``, those with an underscore included, as extensions
import them from there; some programs also replace them here.
"""

import importlib as importlib
import os as os
import sys as sys

import click as click
from werkzeug.serving import is_running_from_reloader as is_running_from_reloader
from werkzeug.serving import run_simple as run_simple

from ..globals import current_app as current_app
from ..helpers import get_debug_flag as get_debug_flag
from ..helpers import get_load_dotenv as get_load_dotenv
from .commands import routes_command as routes_command
from .commands import shell_command as shell_command
from .context import AppGroup as AppGroup
from .context import F as F
from .context import ScriptInfo as ScriptInfo
from .context import load_dotenv as load_dotenv
from .context import pass_script_info as pass_script_info
from .context import with_appcontext as with_appcontext
from .discovery import NoAppException as NoAppException
from .discovery import _called_with_wrong_args as _called_with_wrong_args
from .discovery import find_app_by_string as find_app_by_string
from .discovery import find_best_app as find_best_app
from .discovery import locate_app as locate_app
from .discovery import prepare_import as prepare_import
from .group import FlaskGroup as FlaskGroup
from .group import cli as cli
from .group import main as main
from .options import CertParamType as CertParamType
from .options import SeparatedPathType as SeparatedPathType
from .options import _app_option as _app_option
from .options import _debug_option as _debug_option
from .options import _env_file_callback as _env_file_callback
from .options import _env_file_option as _env_file_option
from .options import _set_app as _set_app
from .options import _set_debug as _set_debug
from .options import _validate_key as _validate_key
from .options import get_version as get_version
from .options import version_option as version_option
from .run import IGNORED_RUN as IGNORED_RUN
from .run import run_command as run_command
from .run import show_server_banner as show_server_banner
