"""Text to events: finds the calls in what a model wrote.

A text goes from state to state. Whoever follows it meets the modules in this order.

    the states run         parser
    the message            message · states · buffer · event_log · context · markdown
    most of its text       fast_path
    outside of calls       outside · lookout · other_tags · quotation
    a call opens           envelope · chain · openers · fence · opening · opening_repairs · prose
    the call               call · call_events · writer · parameter · loose · surplus
    its value              value · open_value · value_text · value_place
    what tag is this       value_tag · place · slips · by_place · elements · inner_tags
    does it end the value  judge · runs · run · evidence · examples · after_run · only_calls · ahead
    a call in JSON         json_call · json_head · json_reader · json_arguments · bare_json
    which streams          json_body · json_key · json_member · json_value · json_string · json_quote
                           · json_end
    or is read as a whole  json_text · whole_calls
    after a call           after · interrupted · cut
"""
