"""The messages of the differential test: from a seed, always the same. Three sorts: messages as phones send them and the
examples of the RFCs, messages written from the grammar of RFC 3261 section 25, and both with one or two things changed."""
import os
import pathlib
import random
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]
SHARED = pathlib.Path(os.environ.get("STROWGER_SHARED", ROOT.parent / "shared"))

VIA = "Via: SIP/2.0/UDP 192.0.2.45:5060;branch=z9hG4bK2f6a8b1cDE4F7A90;rport"
PHONE = [  # the forms of SoundPoint 3.1 to 4.0, SoundStation 4.0 and VVX 5.0 to 5.9
    f"""REGISTER sip:pbx.example.com:5060 SIP/2.0
{VIA}
From: "Reception" <sip:2104@pbx.example.com>;tag=8F3B21C4-5A9E07D1
To: <sip:2104@pbx.example.com>
CSeq: 2 REGISTER
Call-ID: 5c2be4a0-9d173f8e-77b01c65@192.0.2.45
Contact: <sip:2104@192.0.2.45:5060>;methods="INVITE, ACK, BYE, CANCEL, OPTIONS, INFO, MESSAGE, SUBSCRIBE, NOTIFY, PRACK, UPDATE, REFER"
User-Agent: PolycomVVX-VVX_410-UA/5.9.6.2327
Accept-Language: en
Authorization: Digest username="2104", realm="pbx.example.com", nonce="6713f0a91b2c8d4e5f60718293a4b5c6", qop=auth, cnonce="kJ8fQz2LrT0vYxW", nc=00000001, uri="sip:pbx.example.com:5060", response="0a4f113b7d92c5e8361b7f20d9ac4e58", algorithm=MD5
Max-Forwards: 70
Expires: 3600
Content-Length: 0

""",
    """INVITE sip:2105@pbx.example.com;user=phone SIP/2.0
Via: SIP/2.0/UDP 192.0.2.46;branch=z9hG4bK7e4a61d5F3D5DCA1
From: "2104" <sip:2104@pbx.example.com>;tag=1F2B3C4D-55AA66BB
To: <sip:2105@pbx.example.com;user=phone>
CSeq: 1 INVITE
Call-ID: c2a1b0f9-d8e7c6b5-a4938271@192.0.2.46
Contact: <sip:2104@192.0.2.46>
Allow: INVITE, ACK, BYE, CANCEL, OPTIONS, INFO, MESSAGE, SUBSCRIBE, NOTIFY, PRACK, UPDATE, REFER
User-Agent: PolycomSoundPointIP-SPIP_650-UA/3.1.3.0439
Supported: 100rel,replaces
Allow-Events: talk,hold,conference
Max-Forwards: 70
Content-Type: application/sdp
Content-Length: 150

v=0
o=- 1184756010 1184756010 IN IP4 192.0.2.46
s=Polycom IP Phone
c=IN IP4 192.0.2.46
t=0 0
a=sendrecv
m=audio 2230 RTP/AVP 9 0 8 18 127
""",
    """INVITE sip:101@example.org;user=phone;transport=tcp SIP/2.0
Via: SIP/2.0/TCP 192.0.2.47;branch=z9hG4bK57d5d2f1B6A5F4C3
From: "Pol 335" <sip:102@example.org>;tag=A1B2C3D4-E5F60718
To: <sip:101@example.org;user=phone>
CSeq: 1 INVITE
Call-ID: 6f1e2d3c-4b5a6978-87966554@192.0.2.47
Contact: <sip:102@192.0.2.47;transport=tcp>
Supported: 100rel,timer,replaces,norefersub
Max-Forwards: 70
Content-Length: 0

""",
    """SUBSCRIBE sip:2105@pbx.example.com SIP/2.0
Via: SIP/2.0/UDP 192.0.2.45:5060;branch=z9hG4bK8a9b0c1dE2F30415
From: <sip:2104@pbx.example.com>;tag=0A1B2C3D-4E5F6071
To: <sip:2105@pbx.example.com>
CSeq: 1 SUBSCRIBE
Call-ID: 0f1e2d3c-4b5a6978-8796a5b4@192.0.2.45
Contact: <sip:2104@192.0.2.45:5060>
Event: dialog
User-Agent: Polycom/5.4.1.14510 PolycomVVX-VVX_500-UA/5.4.1.14510
Accept-Language: en
Supported: eventlist
Accept: application/dialog-info+xml,application/rlmi+xml,multipart/related
Max-Forwards: 70
Expires: 3600
Content-Length: 0

""",
    """SIP/2.0 180 Ringing
Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKpbx0001;rport
From: <sip:2104@pbx.example.com>;tag=pbx1
To: <sip:2105@pbx.example.com>;tag=77AA11BB-22CC33DD
CSeq: 1 INVITE
Call-ID: pbx-1@192.0.2.1
Contact: <sip:2105@192.0.2.46>
User-Agent: PolycomSoundPointIP-SPIP_320-UA/3.1.2.0392
Allow-Events: talk,hold,conference
Require: 100rel
RSeq: 8193
Content-Length: 0

""",
    """SIP/2.0 200 OK
Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKpbx0002;rport=5060;received=192.0.2.1
Record-Route: <sip:192.0.2.1;lr>
From: <sip:2104@pbx.example.com>;tag=pbx1
To: "2105" <sip:2105@pbx.example.com>;tag=77AA11BB-22CC33DD
CSeq: 2 INVITE
Call-ID: pbx-1@192.0.2.1
Contact: <sip:2105@192.0.2.46:5060>
Content-Type: application/sdp
Content-Length: 0

""",
    """NOTIFY sip:2104@192.0.2.1 SIP/2.0
Via: SIP/2.0/UDP 192.0.2.46:5060;branch=z9hG4bKn1
From: <sip:2105@pbx.example.com>;tag=77AA11BB
To: <sip:2104@pbx.example.com>;tag=pbx1
CSeq: 3 NOTIFY
Call-ID: pbx-1@192.0.2.1
Contact: <sip:2105@192.0.2.46>
Event: refer
Subscription-State: active;expires=60
Max-Forwards: 70
Content-Type: message/sipfrag
Content-Length: 20

SIP/2.0 100 Trying
""",
    """REFER sip:2105@192.0.2.1 SIP/2.0
Via: SIP/2.0/UDP 192.0.2.46:5060;branch=z9hG4bKr1
From: <sip:2104@pbx.example.com>;tag=aa
To: <sip:2105@pbx.example.com>;tag=bb
CSeq: 2 REFER
Call-ID: pbx-2@192.0.2.1
Contact: <sip:2104@192.0.2.46>
Refer-To: <sip:2106@pbx.example.com?Replaces=pbx-3%40192.0.2.1%3Bto-tag%3Dx%3Bfrom-tag%3Dy>
Referred-By: <sip:2104@pbx.example.com>
Max-Forwards: 70
Content-Length: 0

""",
]
RFC3261 = [  # section 24
    """INVITE sip:bob@biloxi.example.com SIP/2.0
Via: SIP/2.0/TCP client.atlanta.example.com:5060;branch=z9hG4bK74bf9
Max-Forwards: 70
From: Alice <sip:alice@atlanta.example.com>;tag=9fxced76sl
To: Bob <sip:bob@biloxi.example.com>
Call-ID: 3848276298220188511@atlanta.example.com
CSeq: 1 INVITE
Contact: <sip:alice@client.atlanta.example.com;transport=tcp>
Content-Length: 0

""",
    """SIP/2.0 200 OK
Via: SIP/2.0/UDP bigbox3.site3.atlanta.com;branch=z9hG4bK77ef4c2312983.1;received=192.0.2.2
Via: SIP/2.0/UDP pc33.atlanta.com;branch=z9hG4bKnashds8 ;received=192.0.2.1
To: Bob <sip:bob@biloxi.com>;tag=a6c85cf
From: Alice <sip:alice@atlanta.com>;tag=1928301774
Call-ID: a84b4c76e66710
CSeq: 314159 INVITE
Contact: <sip:bob@192.0.2.4>
Content-Type: application/sdp
Content-Length: 0

""",
    """REGISTER sip:registrar.biloxi.com SIP/2.0
Via: SIP/2.0/UDP bobspc.biloxi.com:5060;branch=z9hG4bKnashds7
Max-Forwards: 70
To: Bob <sip:bob@biloxi.com>
From: Bob <sip:bob@biloxi.com>;tag=456248
Call-ID: 843817637684230@998sdasdh09
CSeq: 1826 REGISTER
Contact: <sip:bob@192.0.2.4>, "Bob" <sip:bob@[2001:db8::9:1]:5062>;q=0.5
Expires: 7200
Content-Length: 0

""",
    """BYE sip:alice@pc33.atlanta.com SIP/2.0
Via: SIP/2.0/UDP 192.0.2.4;branch=z9hG4bKnashds10
Max-Forwards: 70
Route: <sip:p1.example.com;lr>, <sip:p2.example.com;lr>
From: Bob <sip:bob@biloxi.com>;tag=a6c85cf
To: Alice <sip:alice@atlanta.com>;tag=1928301774
Call-ID: a84b4c76e66710
CSeq: 231 BYE
Content-Length: 0

""",
]


def wire(text):
    """A written message as it is on the wire, with the Content-Length that its body has."""
    head, body = text.split("\n\n", 1)
    head, body = head.replace("\n", "\r\n"), body.replace("\n", "\r\n")
    head = re.sub(r"Content-Length: \d+", f"Content-Length: {len(body)}", head)
    return (head + "\r\n\r\n" + body).encode("latin-1")


def seeds():
    out = [wire(t) for t in PHONE + RFC3261]
    for folder in (SHARED / "data" / "rfc4475", ROOT / "tests" / "rfc5118"):
        out += [p.read_bytes() for p in sorted(folder.glob("*.dat"))]
    return out


class Grammar:
    """Writes a message that RFC 3261 section 25 allows, with the rare forms more often than life has them."""

    def __init__(self, rnd):
        self.r = rnd

    def some(self, chars, low, high):
        return "".join(self.r.choice(chars) for _ in range(self.r.randint(low, high)))

    def token(self):
        return self.some("abcXYZ019-.!%*_+`'~", 1, 12) if self.r.random() < 0.3 else self.some("abcdefXYZ0189", 1, 10)

    def sws(self):
        return "" if self.r.random() < 0.9 else self.r.choice([" ", "\t", "  ", "\r\n ", " \r\n\t"])

    def lws(self):
        return " " if self.r.random() < 0.9 else self.r.choice(["\t", "  ", "\r\n ", " \r\n\t"])

    def sep(self, c):
        return self.sws() + c + self.sws()

    def quoted(self):
        return '"' + "".join(self.r.choice(["a", "B", " ", "9", ",", ";", "<", ">", "@", "\\\"", "\\\\", "\u00e9", "%", "?"])
                             for _ in range(self.r.randint(0, 8))) + '"'

    def host(self):
        return self.r.choice(["192.0.2.9", "example.com", "a.b-c.example.org", "[2001:db8::1]", "[2001:db8::192.0.2.1]", "[::1]", "localhost",
                              "EXAMPLE.Com", "example.com.", "198.51.100.200"])

    def hostport(self):
        return self.host() + (f":{self.r.choice([5060, 5061, 1, 65535, 8080])}" if self.r.random() < 0.4 else "")

    def user(self):
        u = self.some("abcd0123-_.!~*'()&=+$,;?/", 1, 10) if self.r.random() < 0.3 else self.r.choice(["alice", "2104", "*97", "bob", "%41lice", "a%23b"])
        return u + (":" + self.some("abc12&=+$,-_", 0, 5) if self.r.random() < 0.08 else "")

    def uri_params(self):
        return "".join(";" + self.r.choice(["transport=udp", "transport=tcp", "user=phone", "lr", "maddr=192.0.2.1", "ttl=5", "x=%41b", "method=INVITE",
                                            "p[]/:&+$=v[]/:&+$"]) for _ in range(self.r.choice([0, 0, 0, 1, 2])))

    def sip_uri(self, params=True, headers=False):
        r = self.r.random()
        if r < 0.04:
            return self.r.choice(["tel:+1-201-555-0123", "tel:7042;phone-context=example.com"])
        if r < 0.06:
            return self.r.choice(["http://example.com/a;b", "urn:service:sos", "unknown:x/y,z", "im:alice@example.com"])
        out = self.r.choice(["sip:", "sip:", "sip:", "sips:", "SIP:"]) + (self.user() + "@" if self.r.random() < 0.85 else "") + self.hostport()
        if params:
            out += self.uri_params()
        if headers and self.r.random() < 0.1:
            out += self.r.choice(["?Subject=a%20b", "?a=1&b=", "?Replaces=x%40y%3Bto-tag%3Da%3Bfrom-tag%3Db"])
        return out

    def header_params(self, *known):
        out = ""
        for _ in range(self.r.choice([0, 0, 1, 2])):
            v = self.r.choice(["", "=" + self.token(), "=" + self.quoted(), "=" + self.host()])
            out += self.sep(";") + "x" + self.token() + v
        return out

    def name_addr(self, tag=None, headers=False):
        r = self.r.random()
        if r < 0.15:
            out = self.sip_uri(params=False)
            out = out if not set(",?;") & set(out) else "sip:a@example.com"
        else:
            display = "" if r < 0.4 else self.token() + self.lws() + (self.token() + self.lws() if r < 0.5 else "") if r < 0.7 else self.quoted() + self.sws()
            out = display + "<" + self.sip_uri(headers=headers) + ">"
        params = self.header_params()
        if tag:
            params = params + f";tag={tag}" if self.r.random() < 0.5 else f";tag={tag}" + params
        return out + params

    def via(self):
        proto = self.sep("/").join(["SIP", "2.0", self.r.choice(["UDP", "TCP", "TLS", "SCTP", "WS", "UDP"])])
        host = self.host() + (self.sws() + ":" + self.sws() + "5060" if self.r.random() < 0.4 else "")
        params = [f"branch=z9hG4bK{self.token()}"] + [self.r.choice(["rport", "received=192.0.2.200", "received=2001:db8::9", "ttl=16", "maddr=224.0.1.75",
                                                                   "x=\"a;b\"", "rport=5060", "received=[2001:db8::9]"]) for _ in range(self.r.choice([0, 0, 1, 2]))]
        self.r.shuffle(params)
        return proto + self.lws() + host + "".join(self.sep(";") + p for p in params)

    def head(self, long, short=None):
        name = short if short and self.r.random() < 0.2 else long
        if self.r.random() < 0.1:
            name = self.r.choice([name.upper(), name.lower()])
        return name + (self.r.choice([" ", "\t", ""]) if self.r.random() < 0.1 else "") + ":" + (" " if self.r.random() < 0.9 else self.sws())

    def message(self):
        method = self.r.choice(["INVITE", "REGISTER", "OPTIONS", "BYE", "ACK", "CANCEL", "NOTIFY", "SUBSCRIBE", "REFER", "UPDATE", "PRACK", "FOO!"])
        request = self.r.random() < 0.75
        body = self.some("v=0 abc:;\r\n", 0, 60) if self.r.random() < 0.3 else ""
        if request:
            start = f"{method} {self.sip_uri()} SIP/2.0"
        else:
            start = f"SIP/2.0 {self.r.choice([100, 180, 183, 200, 302, 401, 404, 486, 503, 603])} {self.r.choice(['OK', '', 'Some Thing', 'Déjà', 'a%20b'])}"
        lines = [self.head("Via", "v") + self.via() + ("," + self.sws() + self.via() if self.r.random() < 0.1 else "")]
        lines += [self.head("Via", "v") + self.via() for _ in range(self.r.choice([0, 0, 1, 2]))]
        lines.append(self.head("From", "f") + self.name_addr(self.token()))
        lines.append(self.head("To", "t") + self.name_addr(self.token() if self.r.random() < 0.5 else None))
        lines.append(self.head("Call-ID", "i") + self.r.choice([self.token(), self.token() + "@" + self.token(), "a()<>:\\\"/[]?{}b@c"]))
        lines.append(self.head("CSeq") + f"{self.r.choice([0, 1, 7, 314159, 2147483647, '0009'])}{self.lws()}{method}")
        if request or self.r.random() < 0.3:
            lines.append(self.head("Max-Forwards") + str(self.r.choice([70, 0, 255, 1, "070"])))
        if self.r.random() < 0.7:
            lines.append(self.head("Contact", "m") + self.sep(",").join(self.name_addr(headers=True) for _ in range(self.r.choice([1, 1, 1, 2, 3]))))
        elif self.r.random() < 0.2:
            lines.append(self.head("Contact", "m") + "*")
        if self.r.random() < 0.4:
            lines.append(self.head("Expires") + str(self.r.choice([0, 60, 3600, 4294967295])))
        if self.r.random() < 0.3:
            lines.append(self.head("Supported", "k") + self.r.choice(["", "100rel", "replaces,100rel", "timer , path"]))
        if self.r.random() < 0.2:
            lines.append(self.head("Route") + self.sep(",").join(f"<sip:p{i}.example.com;lr>" for i in range(self.r.randint(1, 3))))
        if self.r.random() < 0.3:
            lines.append(self.head("X-" + self.token()) + self.r.choice(["", "any thing: at, all", "é", "a\r\n b"]))
        if self.r.random() < 0.3:
            lines.append(self.head("Subject", "s") + self.r.choice(["", "lunch", "x;y=z,\"open"]))
        if body and self.r.random() < 0.8:
            lines.append(self.head("Content-Type", "c") + self.r.choice(["application/sdp", "text/plain;charset=UTF-8"]))
        if body or self.r.random() < 0.85:
            lines.append(self.head("Content-Length", "l") + self.r.choice(["", "", "", "0"]) + str(len(body)))
        first, rest = lines[0], lines[1:]
        if self.r.random() < 0.3:
            self.r.shuffle(rest)
        return ("\r\n".join([start, first] + rest) + "\r\n\r\n" + body).encode("utf-8")


NUMBERS = [b"0", b"-1", b"+1", b"255", b"256", b"65535", b"65536", b"2147483647", b"2147483648", b"4294967295", b"4294967296", b"18446744073709551616",
           b"99999999999999999999999", b"1e3", b"0x10", b"1.5", b"", b"00000000000000000001"]
BYTES = [b"\0", b"\t", b"\n", b"\r", b" ", b'"', b"#", b"%", b"&", b"(", b")", b"*", b"+", b",", b"/", b":", b";", b"<", b"=", b">", b"?", b"@", b"[", b"\\", b"]",
         b"\x7f", b"\x80", b"\xff", b"\xc3\xa9", b"\r\n", b"\r\n ", b"%00", b"%zz", b"%", b"a", b"Z", b"7", b"--", b"SIP/2.0", b"{", b"}", b"|", b"^", b"`", b"'"]


def split(raw):
    head, mark, body = raw.partition(b"\r\n\r\n")
    lines = re.split(rb"\r\n(?![ \t])", head)
    return lines, mark + body


class Mutator:
    """Changes one thing of a message."""

    def __init__(self, rnd):
        self.r = rnd
        self.ways = [self.byte_in, self.byte_in, self.byte_out, self.byte_other, self.number, self.line_gone, self.line_twice, self.line_moved, self.value_gone,
                     self.joined, self.case, self.space, self.cut, self.swap_value, self.span_twice, self.length]

    def at(self, raw):
        """Mostly within the head, where the parser is."""
        end = raw.find(b"\r\n\r\n") + 4 or len(raw)
        return self.r.randrange(end if self.r.random() < 0.97 else len(raw)) if raw else 0

    def byte_in(self, raw):
        i = self.at(raw)
        return raw[:i] + self.r.choice(BYTES) + raw[i:]

    def byte_out(self, raw):
        i = self.at(raw)
        return raw[:i] + raw[i + self.r.choice([1, 1, 1, 2, 5]):]

    def byte_other(self, raw):
        i = self.at(raw)
        return raw[:i] + self.r.choice(BYTES) + raw[i + 1:]

    def number(self, raw):
        found = list(re.finditer(rb"\d+", raw[:raw.find(b"\r\n\r\n") + 2]))
        if not found:
            return raw
        m = self.r.choice(found)
        return raw[:m.start()] + self.r.choice(NUMBERS) + raw[m.end():]

    def lines(self, raw, change):
        ls, tail = split(raw)
        if len(ls) < 3:
            return raw
        change(ls, self.r.randrange(1, len(ls)))
        return b"\r\n".join(ls) + tail

    def line_gone(self, raw):
        return self.lines(raw, lambda ls, i: ls.pop(i))

    def line_twice(self, raw):
        return self.lines(raw, lambda ls, i: ls.insert(self.r.randrange(1, len(ls) + 1), ls[i]))

    def line_moved(self, raw):
        return self.lines(raw, lambda ls, i: ls.insert(self.r.randrange(1, len(ls)), ls.pop(i)))

    def value_gone(self, raw):
        def change(ls, i):
            ls[i] = ls[i].split(b":", 1)[0] + b":"
        return self.lines(raw, change)

    def joined(self, raw):
        def change(ls, i):
            ls[i] = ls[i] + self.r.choice([b",", b", ", b",,"]) + ls[i].split(b":", 1)[-1]
        return self.lines(raw, change)

    def case(self, raw):
        def change(ls, i):
            name, colon, value = ls[i].partition(b":")
            ls[i] = self.r.choice([name.upper(), name.lower(), name.swapcase()]) + colon + value
        return self.lines(raw, change)

    def space(self, raw):
        def change(ls, i):
            spots = [m.start() for m in re.finditer(rb"[;=,/:<> ]", ls[i])] or [0]
            k = self.r.choice(spots) + self.r.choice([0, 1])
            ls[i] = ls[i][:k] + self.r.choice([b" ", b"\t", b"  ", b"\r\n "]) + ls[i][k:]
        return self.lines(raw, change)

    def cut(self, raw):
        return raw[:self.at(raw)] if self.r.random() < 0.5 else raw[:len(raw) - self.r.randint(1, 4)]

    def swap_value(self, raw):
        def change(ls, i):
            k = self.r.randrange(1, len(ls))
            ls[i] = ls[i].split(b":", 1)[0] + b":" + ls[k].split(b":", 1)[-1]
        return self.lines(raw, change)

    def span_twice(self, raw):
        i = self.at(raw)
        n = self.r.randint(1, 30)
        return raw[:i + n] + raw[i:i + n] * self.r.choice([1, 1, 1, 40]) + raw[i + n:]

    def length(self, raw):
        return re.sub(rb"(?i)(\r\n(?:content-length|l)[ \t]*:[ \t]*)(\d+)", lambda m: m[1] + str(max(0, int(m[2][-9:]) + self.r.choice([-3, -1, 1, 2, 9, 1000]))).encode(), raw)

    def change(self, raw):
        return self.r.choice(self.ways)(raw)


def messages(seed, n):
    rnd = random.Random(seed)
    grammar, mutator, base = Grammar(rnd), Mutator(rnd), seeds()
    for m in base[:n]:
        yield m
    for _ in range(max(0, n - len(base))):
        raw = rnd.choice(base[:len(PHONE) + len(RFC3261)]) if rnd.random() < 0.35 else rnd.choice(base) if rnd.random() < 0.2 else grammar.message()
        for _ in range(rnd.choice([0, 1, 1, 1, 1, 2])):
            raw = mutator.change(raw)
        yield raw[:60000]
