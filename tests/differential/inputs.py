"""Texts for the parsers: fragments that mean something in the syntax at hand, put together by
hypothesis, and seeds: texts on which implementations were found to differ, or easily do.

Texts are Latin-1, a character a byte, and hold only what a header field may.
"""

from __future__ import annotations

from hypothesis import strategies as st

Texts = st.SearchStrategy[str]

#: More digits than Python makes an integer of, and as many as it does.
TOO_LONG, LONGEST = "9" * 4301, "9" * 4300

_ANYTHING = st.text(
    st.characters(codec="latin-1", exclude_categories=["Cc"]) | st.just("\t"), max_size=3
)
#: What the target of a request may hold.
_OF_TARGETS = st.text(st.sampled_from("abz09-._~!$&'()*+,;=:@/?%"), max_size=3)


def texts(
    *fragments: str,
    start: tuple[str, ...] = ("",),
    most: int = 14,
    between: Texts = _ANYTHING,
) -> Texts:
    """Fragments in any order, now and then with other text between them."""
    pieces = st.lists(st.sampled_from(fragments) | between, max_size=most)
    return st.builds(lambda first, rest: first + "".join(rest), st.sampled_from(start), pieces)


COOKIES = texts(
    *["a", "b", "=", ";", "; ", " ", "\t", '"', "\\", "\\073", "\\303\\251", "\\\\", '\\"', "é"],
    *['="', "x=y", '"; ', "\\4", "\\38", ",", "\x85", "\xa0", "{", ":", '="x;y"', "session="],
    most=20,
)
COOKIE_SEEDS = [
    "", ";", "=", "a", "a=", "=a", "a;b", "a=1; a=2", "a=b=c", " a = b ;c=d", "a=b c; d=1",
    "a b=c; d=1", 'k={"a":1,"b":2}; z=1', '{"j":1}=2', "a=b, c=d", 'a="x;y"; b', 'a="x',
    'a="x; b=1',
    'a="x"y; b=1', 'a=x"y; b=1', '"a"=1', 'a="\\"', 'a="\\\\"; b=1', 'a="\\073\\400\\08"',
    'a="\\303\\251"', 'a="\\377"', 'a=""', 'a=" "', "\xa0a=1", "a=\xa01\xa0;b=2", "a\x85=1", "a=1;",
    "a=1;;b=2", "a\t=\t1\t;\tb", 'a="1" ; b="2"', 'a="1" x; b="2"', "é=ü", "a=\xc3\xa9", "a=%C3%A9",
    'a="' + "\\" * 99, "a" * 5000 + "=1", '="' * 2000, 'a="b' * 500, "a " * 2000, "; " * 2000,
]  # fmt: skip

OPTIONS = texts(
    *["a", "b", ",", ";", '"', "\\", " ", "=", "\t", "é", "*", "*0", "*1", "*0*=", "*=", "'", "; "],
    *["UTF-8''", "%c3%a9", "%22", "iso-8859-1''", "koi8-r''", "ascii'en'", "boundary=", "charset="],
    *['="x y"', "B=", "a*=", "a*0*=", "a*1=", "utf-8", "a*10*="],
    start=("text/html;", "Text/HTML ; ", "multipart/form-data; ", "application/json;", "", " ;"),
)
OPTIONS_SEEDS = [
    "", ";", "a", " a ", ";a=b", "a;", "a; ", "text/html;charset=utf-8", "TEXT/HTML; CHARSET=UTF-8",
    'a; b="c;d"; e=f', 'a; b="c\\"d\\\\e\\f"', 'a; b="c%22d"', 'a; z=1; b="c; d=e', 'a; b="""',
    r'a; f="C:\dir\x.txt"', 'a; b="c" d; e=f', "a; b=c d; e=f", "a; b; c=d", "a;;;b=c", "a; b = c",
    "a; b*0=c; b*1=d", "a; b*1=c; b*0=d", "a; b*0=x", "a*0=x", "a; a*0=x; a=y", "a; a=y; a*0=x",
    "a; b=1; b*0=2; c=3; b=4; b*0=5; b*1=6", "a; b*=UTF-8''%c3%a9", "a; b*=UTF-8''%c3", "a; b*=x",
    "a; b*=utf-8'en'%22", "a; b*=\"utf-8''x\"", "a; b*=''%c3%a9", "a; b*=latin1''%e9",
    "a; b*0*=utf-8''%c3%a9; b*1*=%c3%a8; b*2=\"f\"", "a; b*0*=utf-8''1; c*0*=%c3%a9; b*1*=%c3%a9",
    "a; b*=utf-8''%c3%a9; c*=%c3%a9", "a; *=x", "a; *0=x; *1*=y", "a; b**=x", "a; b*0**=x",
    "a; b*00=x; b*1=y", "a; b*1*2=x", "a; b*=iso-8859-1''%e9'", "a; b*=utf-8'x", "a; é=1; b=2",
    "a;\xa0b=1", "a\xa0; b=1", 'a; b="é"', "a; b=\"\\", "a; b='c'",
    "a; b*0*=UTF-8''a; b*0*=''%c3%a9",
    "a" + ";b=1;b*0=2" * 500, "a" + "".join(f";k{n}={n}" for n in range(500)), 'a;b="' * 500,
    "multipart/form-data; boundary=" + "x" * 8000, "a; n=" + TOO_LONG,
]  # fmt: skip

ACCEPT = texts(
    *["text/html", "text/*", "*/*", "application/json", "text/plain;format=flowed", ";q=0.5", "*"],
    *[
        ";q=0",
        ", ",
        ",",
        ";q=2",
        ";q=x",
        "en",
        "en-US",
        "fr",
        "de_AT",
        ";level=1",
        "gzip",
        '"',
        "\\",
    ],
    *[";q=-0", ";q= 0.5", '; q="0.5"', ";q=1.", ";Q=0.1", ";*=x", " ", "\t;\t", "q=0"],
)
ACCEPT_SEEDS = [
    "", "*", "*/*", ",", "text/html;q=1", "text/html;q=0.5,*/*;q=0.5", "a;q=\xa00.5", 'a;q=" 0.5"',
    "a;q=.5", "a;q=1e0", "a;q=0.5.5", "a;q=-1", "a;q=-0", "a;q=1.0000000000000001",
    "a;q=" + TOO_LONG,
    "text/html ; level=1\t;x=y", "text/html;level=1, text/html", "en-US,en;q=0.9,de;q=0",
    '"a,b", c',
    '"a', "text/plain;format=flowed;q=0.1", "text/html;*=x", "gzip;q=1.0, identity; q=0.5, *;q=0",
]  # fmt: skip

QUERY = texts(
    *[
        "a",
        "b",
        "=",
        "&",
        "+",
        "%",
        "%41",
        "%c3%a9",
        "%ff",
        "%e2%82",
        "%2",
        "%zz",
        ";",
        "%26",
        "%00",
    ],
    *["%3d", "[", "]", "~", "!", "'"],
    most=18,
    between=_OF_TARGETS,
)
QUERY_SEEDS = [
    "", "&", "=", "a", "a=", "=a", "a=1&a=2", "a=b=c", "a+b=c+d", "a%20b=c", "%", "%4", "%zz",
    "a=%ff",
    "a=%c3%a9", "a=%C3", "a=%e2%82&b=%ac", "a;b=c", "a=1;b=2", "&&a=1&&", "a=%00", "%26=%3D",
    "a=%2B+",
    "n=" + TOO_LONG, "a&" * 999, "a=%F0%9F%98%80", "a=%ED%A0%80", "a=%C0%80", "a[0]=1&a[]=2",
]  # fmt: skip

RANGES = texts(
    *[
        "=",
        "-",
        "0",
        "5",
        "10",
        "99",
        ",",
        " ",
        "\t",
        "0-4",
        "-5",
        "5-",
        "+",
        "a",
        "_",
        "\xa0",
        "*",
    ],
    start=("bytes=", "bytes=", "bytes=", "BYTES = ", ""),
    most=7,
)
RANGE_SEEDS = [
    "", "bytes", "bytes=", "bytes=0-", "bytes=-0", "bytes=-00", "bytes=-5", "bytes=- 5",
    "bytes=--5",
    "bytes=0-0", "bytes=5-4", "bytes=0-99", "bytes=0-100", "bytes=100-", "bytes=-100", "bytes=-101",
    "bytes=0-1,3-4", "bytes=3-4,0-1", "bytes=0-4,2-6", "bytes=0-,5-6", "bytes=-5,0-1", "lines=0-1",
    "bytes = 0 - 1 ", "bytes=0-1,", "bytes=,0-1", "bytes=+0-1", "bytes=0x1-2", "bytes=1_0-20",
    "bytes=٣-٤".encode().decode("latin1"), "bytes=\xa00-1", "bytes=0-" + "9" * 19,
    "bytes=" + "9" * 30 + "-", "bytes=0-" + LONGEST, "bytes=0-" + TOO_LONG, "bytes=-" + TOO_LONG,
    "bytes=" + "9" * 30 + "-" + "9" * 29 + "8", "bytes=" + "0-0," * 200 + "1-",
]  # fmt: skip

_DATES = [f"Sun, 06 Nov 1994 08:49:3{second} GMT" for second in (6, 7, 8)]
_LATER = "Fri, 01 Jan 2100 00:00:00 GMT"
DATES = st.builds(
    lambda *parts: "".join(parts),
    st.sampled_from(["Sun, ", "", "Sun ", "sunday, ", "Foo, ", "Sun,"]),
    st.sampled_from(["06", "6", "31", "29", "0", "06-Nov-94", "Nov", "99999999999"]),
    st.sampled_from([" Nov ", " Feb ", " november ", "-Nov-", " ", " 6 "]),
    st.sampled_from(
        ["1994", "94", "2000", "1900", "68", "69", "0", "9999", "10000", "199x", "1_9"]
    ),
    st.sampled_from([" ", ", "]),
    st.sampled_from(["08:49:37", "08:49", "24:00:00", "08.49.37", "08:49:60", "08:49:37-0500"]),
    st.sampled_from([" GMT", "", " +0100", " EST", " -0000", " nope", " x y", " +2400", " 5"]),
) | st.sampled_from([*_DATES, _LATER])
DATE_SEEDS = [
    "", "0", "never", *_DATES, _LATER, "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994",
    "06 Nov 1994 08:49:37", "Sun, 06 Nov 1994 08:49:37", "Sun, 06 Nov 1994 08:49:37 +" + "9" * 30,
    "Sun, 06 Nov " + TOO_LONG + " 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37.5 GMT", "1994-11-06",
    "Mon, 29 Feb 2023 00:00:00 GMT", "Sun, 06 Nov 0001 08:49:37 +2359",
    "31 Dec 9999 23:59:59 -2359",
]  # fmt: skip

ETAGS = texts(
    *[
        '"a"',
        "W/",
        '"',
        "a",
        "*",
        ",",
        " ",
        "w/",
        ", ",
        '"b"',
        '"a,b"',
        '""',
        "\t",
        "é",
        "\xa0",
        "/",
    ],
    most=10,
)
ETAG_SEEDS = [
    "", "*", " *", "*,", '"*"', "a", '"a"', 'W/"a"', "w/a", "W/", 'W/ "a"', '"a" , "b"', '"a""b"',
    '"a"b, "c"', '"a', 'a"', '"a,b"', '""', 'W/""', ",", '"a",,"b"', "a b", "*, a", '"\xe9"', "a*",
    '"a,' * 900, 'W/"' * 900, '"a" ' * 900, "a, " * 900,
]  # fmt: skip

HOSTS = texts(
    *["h", "H", ".", "test", ":", "80", "443", "8080", "0", "65535", "65536", "[", "]", "::1", "-"],
    *["_", "@", "é", "xn--", "*", " "],
    start=("", "h.test", "www.h.test", "h.test:"),
    most=4,
)
HOST_SEEDS = [
    "h.test", "H.Test", "h.test:80", "h.test:443", "h.test:8080", "h.test:", "h.test:0",
    "h.test:08",
    "h.test:65535", "h.test:65536", "h.test:99999999999999999999", "h.test:" + TOO_LONG,
    "h.test:+1",
    "h.test:x", "www.h.test", "a.www.h.test", "wwwh.test", ".h.test", "h.test.", "a..b",
    "a" * 70 + ".test",
    "127.0.0.1", "127.0.0.1:81", "[::1]", "[::1]:81", "[::1]:0", "[::g]", "::1", "h_t", "u@h.test",
    "h.test/x", "h test", "", "é.test", "xn--e1afmkfd.test", "*", "-", ".",
]  # fmt: skip

PATHS = st.lists(
    st.sampled_from(
        [
            *["/", "//", "a", "b", "%", "%2F", "%41", "%c3%a9", "%ff", "%2", "%zz", ".", ".."],
            *[";", "%00", "+", "~", "%25", "%E2%82%AC", ":", "@", "'", "|", "[", "9" * 30],
        ]
    ),
    max_size=12,
).map(lambda pieces: "/" + "".join(pieces))  # fmt: skip
PATH_SEEDS = [
    "/", "//", "///a", "/a//b/", "/a/./b/../c", "/%2e%2e/a", "/a%2Fb", "/%c3%a9", "/%C3", "/%",
    "/%zz",
    "/%00", "/a;b=c", "/a+b", "/%25", "/" + "a/" * 999, "/%ED%A0%80", "/%F0%9F%98%80", "/a%0d%0ab",
]  # fmt: skip

LENGTHS = st.sampled_from(
    ["0", "5", "-5", "+5", " 7 ", "x", "", "1_0", "\xb2", "5,5", "0x5", "5.0"]
) | (
    # The server refuses what is beyond 64 bits.
    st.integers(-(2**64), 2**64 - 1).map(str)
)
LENGTH_SEEDS = ["", "0", "007", "-0", "\xa05", "5\x85", str(2**63), str(2**64 - 1), TOO_LONG]
LENGTH_SEEDS += ["-" + LONGEST, "-" + TOO_LONG]
CODINGS = [
    "",
    "chunked",
    "gzip",
    "gzip, Chunked",
    '"chunked"',
    "x chunked",
    'a="chunked',
    "chunked,",
]

_PART = "Content-Disposition: form-data; name=a"
MULTIPART = st.builds(
    lambda start, middle, end: start + middle + end,
    st.sampled_from(["", f"--b\r\n{_PART}\r\n\r\n", f"--b\r\n{_PART}; filename=f\r\n\r\n",
    "--b\r\n"]),
    texts(
        *["\r\n", "\n", "\r", "--b", "--b--", "\r\n--b\r\n", "\r\n--b--\r\n", " ", "x", "-", _PART],
        *[_PART + "; filename=f\r\n\r\n", _PART + "\r\n\r\n", "X: y", "\r\n\r\n", "\n\n", "\xe9"],
        *["--bb", "\r\n--b ", "\x0b", "\x1f", "\xa0", "\xff", "\xc3\xa9", "Content-Length: "],
        *[_PART + "\r\nContent-Type: x; charset=iso-8859-1\r\n\r\n", "\\", '"'],
        *["; filename*=utf-8''"],
        *[_PART + '; filename="C:\\a\\b.txt"\r\n\r\n', "\r\n Folded: 1"],
        *["Content-Type: text/a*0=x"],
    ),
    st.sampled_from(["", "\r\n--b--", "\r\n--b--\r\n", "\r\n--b-- \nx"]),
)  # fmt: skip


def _part(fields: str, content: str = "x") -> str:
    return f"--b\r\n{fields}\r\n\r\n{content}\r\n--b--\r\n"


MULTIPART_SEEDS = [
    "", "--b--", "--b--\r\n", "--b\r\n--b--", _part(_PART), _part(_PART, ""), _part(_PART, "\r\n"),
    _part(_PART + '; filename="C:\\dir\\x.txt"'), _part(_PART + '; filename="a\\"b"'),
    _part(_PART + "; filename*=utf-8''%c3%a9"), _part(_PART + '; filename=""'), _part("X: y"),
    _part(""),
    _part(_PART + "; filename*0=a; filename*1=b"), _part(_PART + "; name*0=z"),
    _part("content-disposition:form-data;name=a"), _part(_PART + "\r\n\tfolded"),
    _part(" " + _PART),
    _part("\x0b" + _PART), _part("\xa0" + _PART), _part(_PART + "\x0b"), _part(_PART + " \t"),
    _part(_PART + "\r\nContent-Length: -5\r\nX:\xa0y "),
    _part(_PART + "\r\nContent-Length: " + TOO_LONG),
    _part(_PART + "; filename=f\r\nContent-Length: -5"),
    _part(_PART + "; filename=f\r\nContent-Length: " + "9" * 30),
    _part(_PART + "; filename=f\r\nContent-Length: " + TOO_LONG),
    _part(_PART + "; filename=f\r\nContent-Type: text/plain; charset=latin1", "\xe9"),
    _part(_PART + "\r\nContent-Type: text/plain; charset=iso-8859-1", "\xe9"),
    _part(_PART + "\r\nContent-Type: text/plain; charset=koi8-r", "\xe9"),
    f"preamble\n--b\n{_PART}\n\nx\n--b--\nepilogue", f"--b \t\r\n{_PART}\r\n\r\nx\r\n--b-- ",
    _part(_PART).removesuffix("--b--\r\n"), _part(_PART, "x" * 500_001), _part(_PART,
    "x" * 499_999),
    (f"--b\r\n{_PART}\r\n\r\n\r\n" * 1001) + "--b--", _part("Content-Disposition: form-data; name"),
]  # fmt: skip

URLENCODED_SEEDS = [*QUERY_SEEDS, "\xff", "a=\xc3\xa9", "a=\xc3", "x=" + "a" * 600_000, "a\r\n=b\n"]
BOUNDARIES = [
    "b",
    '"b"',
    "b c",
    '"b c"',
    "",
    '""',
    "é",
    "b;",
    "x" * 70,
    "x" * 256,
    "'b'",
    "b*0=b",
    '"\\b"',
]
