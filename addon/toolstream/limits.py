"""The bounds of what is held, repeated and remembered: the numbers, and why they are there. How wide a part
of a tag may be stands in its pattern.

Without a bound a model that never stops, or a server that never ends an event, would fill the memory,
keep the client waiting or use quadratic time. Past a bound nothing is lost: what was held goes out as
text, or the likelier reading is taken.
"""

# What may be held

HELD = 1 << 20  # characters held of one choice: a possible call, or a value that waits to be typed or judged
HELD_OF_WHOLE = 1 << 26  # the same in an answer that is not streamed, which is in memory anyway
HELD_FRAMES = 1 << 14  # frames that wait; past them they are emptied, and their text comes in one of our own
UNFINISHED_EVENT = 1 << 24  # bytes of one event that has no end; past them this is no stream of chunks
PIECE = 4096  # characters; longer input is read in such pieces, because a reader may copy all it looks at

STEPS, STEPS_PER_CHARACTER = 1000, 50  # steps of the parser; past them its states go round in a circle

# What is reported

EXCERPT = 120  # characters of the stream that a repair or a refusal quotes
REFUSALS = 100  # refusals kept with their excerpt; a model that runs wild must not fill the memory

# Around tags

LOOK_AHEAD = 64  # whitespace characters between a tag and what has to follow it
TAG_GAP = 8  # whitespace characters inside a tag, around its `=` or before its `>`
SPELLING = 1024  # characters that a spelling with several brackets can have
NAME = 256  # characters of a name in a tag; no tool or parameter comes near it
DECLARED_NAME = 128  # characters of a name that counts only if it is declared
ATTRIBUTES = 256  # characters of whatever else an opening tag carries before its `>`
MEMBERS = 512  # the same where strings in quotes may hold anything; such a string counts as one
QUOTED = 1024  # characters of one string in quotes in a tag
SLOT = 16  # letters of the word that stands where a name should: `name`, `function`
NUMBER = 4  # digits in a closing tag
TAG = 320  # characters of one damaged tag
MADE_UP_NAME = 32  # letters of the name of a closing tag that no dialect has
WRAPS = 4  # opening tags of envelopes in a row that are taken for one
DAMAGED_OPENER = 40  # characters before the key, in what may be left of an opening tag
OPENER_PREFIX = 5  # characters by which an opening tag is recognised if the rest is missing: `<para`

# In text

WHITESPACE_RUN = 256  # whitespace characters that wait, because a call after them would drop them
CODE_SPAN = 4096  # characters after which an open backtick no longer opens inline code
QUOTE_MARKS = 256  # marks of which it is remembered what closes them
QUOTE_GAP = 16  # whitespace characters between a quoted call and the end of the quotation
ENDS = 96  # characters before a tag in which a quotation may open
LINE_HEAD = 256  # characters of a line that are kept to tell whether it opens a fence
FENCE_RUN = 16  # backticks or tildes of a fence
FENCE_GAP = 8  # spaces before and after the language that a fence names
FENCE_INFO = 16  # letters of that language
FENCE_INDENT = 16  # whitespace characters between a fence's line and the JSON in it

# In values

CLOSING_RUN = 8  # tags in a row that are read together; more of them say nothing more
RUNS = 3  # runs of tags that are remembered, besides the newest
NO_END = 99  # the cost of a run that can end no value: more than any other run costs
AFTER_CALL = 512  # characters after a call's closing tags that may still tell that it is payload, or shown
WORDLESS = 12  # characters from the bracket of a tag up to its word
TABLES = 64  # sets of tables for a value that are remembered
TOOLS = 256  # tools of which it is remembered what their tags look like
CANONICAL = 256  # tags whose dialects are remembered
ALIGNED = 4096  # texts for which the possible ends of a misspelt tag are remembered
TAG_SLIPS = 2  # letters that may be wrong in a long tag; in a shorter one, one
LONG_TAG = 10  # characters that a long tag has at least
AHEAD = 1024  # characters that are looked at to tell whether a misspelt tag or an element of any name begins
WORD_IN_TAG = 32  # letters of the word in such a tag
TAG_JUNK = 96  # surplus characters in such a tag
LONG = 6  # letters that a word has at least, if misspelt forms of it are recognised
LETTERS = 4  # letters that a misspelt word has at least: shorter ones are similar to too many words
SLIPS = 9  # more edits than any misspelt word needs
LENGTHS_APART = 3  # letters by which two words may differ in length and still be compared
COMPARED = 4096  # words whose likeness is remembered
LOST_WORDS = 256  # sets of words of which it is remembered what their tags look like without a bracket
DAMAGED_ENVELOPES = 2  # opening tags of envelopes in a row that are in no dialect table
WORDS = 256  # words that a value has opened as tags, and readings of tags in it, that are remembered
VALUE_LINE = 256  # characters after an opening tag that wait for the end of the line
SLIPPED = 2  # letters that may have slipped before a tag in a call, and say nothing
STRAY = 1024  # characters of the text between parameters that are searched for an unread parameter
UNTAGGED_GAP = 256  # whitespace characters kept before a value whose opening tag is missing

# In JSON

DEPTH = 64  # levels of nesting that are read; the stack is finite and no tool comes near it
OPEN_BRACKETS = 1024  # the same, while a server's arguments pass through unread
DIGITS = 4300  # of an integer; Python clients parse no more (sys.get_int_max_str_digits)
MAGNITUDE = 308  # decimal exponent past which a double overflows
INDEX_DIGITS = 6  # of an array index in a JSON pointer; longer ones lead nowhere
TOKEN = 1024  # characters of a key, a number or whitespace that are waited for
NESTED = 8  # elements in one another around the parameters
ELEMENT = 256  # characters of the elements around a parameter's name, up to its value
WORD = 256  # characters of a key or a name in JSON that may be a call
AFTER_JSON = 64  # whitespace characters between JSON and the end of its fence
JSON_LINE = 64  # characters of a line that are kept to tell whether it is blank
JSON_HEAD = 512  # characters up to the first argument of a JSON call: one that begins later is read whole
JSON_KEY = 128  # characters of a key in the arguments
AFTER_QUOTE = 512  # characters after a quote in a JSON string that may show that the string goes on
PATH = 256  # characters of a string that is checked for being a Windows path with bare backslashes
COMMA_GAP = 16  # whitespace characters between a comma and the quote of a key
COMMENT = 256  # characters of a comment in JSON
COMMENTS = 4  # one after another
SCALAR = 64  # characters of a number and the mark before it, after which a quote closes nothing
STRING_TAIL = 64  # brackets and whitespace that wait at the end of a string: its quote may be missing
QUOTE_TRIES = 8  # tags in a string at which the JSON before them is read, in case a quote is missing
QUOTE_TEXT = 1 << 14  # characters that are read for that in total, apart from the first time
ENCODED = 3  # strings around the arguments of a call, one in the other
WRAPPED = 3  # objects nested around the arguments of a call
REREADS = 16  # times in one message that JSON without an end is searched for a call
SMALL = 2048  # characters that the json-repair library is given: its time grows with their square
ONE_CHANGE = 1 << 16  # characters of JSON in which one wrong mark is searched: each try reads all of them
PLACES = 100  # occurrences of a string in a text that are checked for being a whole string there
MARKS_WITHIN = 512  # characters before the place where JSON breaks off in which the wrong mark may be
MARKS = 24  # marks there that may be the wrong one
TAILS = 100  # strings in a server's arguments whose ends are parsed as text; each needs a new parser
OBJECTS = 100  # JSON values after a server's arguments that are compared with them

# The cache of envelopes

TEMPLATES = 4  # envelopes remembered: choices and kinds of deltas may alternate
TEMPLATE_TRIES = 8  # templates learned in vain, after which no more are
