"""The user's rules, as a YAML file that may change while the proxy runs."""
