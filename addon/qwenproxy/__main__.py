"""`python -m qwenproxy` is `qwen-fix`."""

import sys

from .cli import main

sys.exit(main())
