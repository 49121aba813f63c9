"""The script mitmproxy loads: `mitmdump -s addon/qwen_fix.py --mode reverse:URL@127.0.0.1:9090`."""

from qwenproxy.addon import QwenFix

addons = [QwenFix()]
