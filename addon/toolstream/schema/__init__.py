"""What arguments should be: the declared tools and their schemas, and how values are read, typed and written.

Values that stream pass through `arguments`. What has come as a whole is read, typed and written.

    what is declared       toolset · declared · schema · tool_name
    arguments in tags      arguments · coercion · values · whole_arguments
    a call in JSON         call_shape · call_scanner · json_call · wrapped
    JSON                   json_read · json_write · json_scanner · escapes
    nearly JSON            lenient_json · least_change · inner_quotes · python_literals · bare_members
    the user's rules       rules
"""
