"""Text to events: finds the calls in what a model wrote.

A text goes from state to state. Whoever follows it meets the modules in this order.

    the states run         parser
    the message            message · states · buffer · event_log · context · markdown
    most of its text       fast_path
    outside of calls       outside · lookout · other_tags · quotation · quotation_end
    a call opens           envelope · chain · noise · openers · fence · opening · after_opener
                           · opening_repairs · prose · definition
    the call               call · call_events · writer · parameter · value_in_tag · loose · surplus
                           · closed_early · after_text · doubt
    its value              value · open_value · value_text · value_place
    what tag is this       value_tag · place · slips · by_place · lost_bracket · elements · inner_tags
    does it end the value  judge · runs · run · evidence · in_line · examples · after_run
                           · only_calls · ahead
    a call in JSON         json_call · json_head · json_reader · json_arguments · bare_json
    which streams          json_body · json_key · json_member · json_value · json_string · json_quote
                           · json_end
    or is read as a whole  json_text · whole_calls
    after a call           after · interrupted · cut

Words that they all use:

    envelope     the outermost element of a call: `<tool_call>`
    payload      what belongs to a value, however much it looks like a tag
    example      a call that is payload
    reading      one of the tags that a misspelt tag may be
    chain        tags in a row that open a call
    run          tags in a row that close what is open; the others tell whether the first one is believed
    trial        a text that may be a call: its events wait, and are dropped if it is not
    stray text   text between the parameters of a call
    spare text   such text that may be the value of a parameter without its tag
"""
