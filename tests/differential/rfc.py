"""A second reading of a SIP message, written from the grammar of RFC 3261 section 25.1 alone, with regular expressions: the judge
of the differential test. It gives the fields as the oracles do (oracle.h), what is against the grammar (`bad`: names such as
"via.port"), and what is allowed but rare (`odd`: names such as "host.ipv6")."""
import re
import socket

ALNUM = r"A-Za-z0-9"
MARK = r"\-_.!~*'()"
ESC = r"%[0-9A-Fa-f]{2}"
UNRES = rf"[{ALNUM}{MARK}]|{ESC}"
TOKEN = rf"[{ALNUM}\-.!%*_+`'~]+"
WORD = rf"[{ALNUM}\-.!%*_+`'~()<>:\\\"/\[\]?{{}}]+"
LWS = r"(?:[ \t]*\r\n[ \t]+|[ \t]+)"
SWS = rf"{LWS}?"
UTF8 = r"(?:[\xc0-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf7][\x80-\xbf]{3}|[\xf8-\xfb][\x80-\xbf]{4}|[\xfc-\xfd][\x80-\xbf]{5})"
QUOTED = rf'"(?:{LWS}|[!\x23-\x5b\x5d-\x7e]|{UTF8}|\\[\x00-\x09\x0b\x0c\x0e-\x7f])*"'
IPV4 = r"[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}"
HEX4 = r"[0-9A-Fa-f]{1,4}"
HEXSEQ = rf"{HEX4}(?::{HEX4})*"
IPV6 = rf"\[(?:{HEXSEQ}(?:::(?:{HEXSEQ})?)?|::(?:{HEXSEQ})?|(?:{HEXSEQ})?::(?:{HEX4}:)*{IPV4}|(?:{HEX4}:){{6}}{IPV4})\]"
LABEL = rf"[{ALNUM}](?:[{ALNUM}\-]*[{ALNUM}])?"
NAME = rf"(?:{LABEL}\.)*[A-Za-z](?:[{ALNUM}\-]*[{ALNUM}])?\.?"
HOST = rf"(?:{IPV4}(?![{ALNUM}.\-])|{IPV6}|{NAME})"
SPECIAL = {"v": "via", "f": "from", "t": "to", "i": "call-id", "m": "contact", "l": "content-length", "k": "supported", "c": "content-type", "e": "content-encoding",
           "s": "subject", "o": "event", "r": "refer-to", "u": "allow-events", "b": "referred-by", "x": "session-expires"}

PCHAR = rf"(?:[\[\]/:&+$]|{UNRES})"
URI_PARAMS = rf"(?:;{PCHAR}+(?:={PCHAR}+)?)*"
HCHAR = rf"(?:[\[\]/?:+$]|{UNRES})"
URI_HEADERS = rf"(?:\?{HCHAR}+={HCHAR}*(?:&{HCHAR}+={HCHAR}*)*)?"
PASSWORD = rf"(?:{UNRES}|[&=+$,])*"

# What our parser lets pass beyond the grammar, on purpose: each has a class in classes.tsv. Nothing else may differ.
LENIENT = dict(
    HOST=rf"(?:{IPV6}|[{ALNUM}\-._]+)",
    QUOTED=r'"(?:[^"\\]|\\.)*"',
    VALUE=r"[^\x00-\x20\x7f;,\"<>]+",
    DISPLAY=rf"(?:[{ALNUM}\-.!%*_+`'~\x80-\xff]|{LWS})*",
    USER=rf"(?:{UNRES}|[&=+$,;?/#])+",
    TAIL=rf"(?:[;?](?:{UNRES}|[\[\]/:&+$;=?,])*)?",
    TEL=r"[0-9A-Fa-f*#%+\-.()]+",
    URIC=r'(?:[!#-;=?-~])',
    CALLID=r"[^\x00-\x20]+",
    LWS=r"(?:[ \t\r\n]+)",  # several foldings in a row
    EMPTY=True)
STRICT = dict(
    HOST=HOST, QUOTED=QUOTED, VALUE=rf"(?:{HOST}(?=[;,\s]|$)|{TOKEN})", DISPLAY=rf"(?:{TOKEN}(?:{LWS}|(?=<)))*", USER=rf"(?:{UNRES}|[&=+$,;?/])+",
    TAIL=rf"{URI_PARAMS}{URI_HEADERS}",
    TEL=r"(?:\+[0-9\-.()]*[0-9][0-9\-.()]*|[0-9A-Fa-f*#\-.()]*[0-9A-Fa-f*#][0-9A-Fa-f*#\-.()]*)",
    URIC=rf"(?:{UNRES}|[;/?:@&=+$,\[\]])", CALLID=rf"{WORD}(?:@{WORD})?", LWS=LWS, EMPTY=False)


def grammar(o):
    value = rf"(?:{o['QUOTED']}|{o['VALUE']})"
    rules = dict(
        value=value, host=o["HOST"], tail=o["TAIL"], user=o["USER"], callid=o["CALLID"], empty=r"[ \t\r\n]*",
        sip=rf"(?i:(sips?)):(?:({o['USER']})(?::({PASSWORD}))?@)?({o['HOST']})(?::([0-9]+))?({o['TAIL']})",
        tel=rf"(?i:(tel)):({o['TEL']})({o['TAIL']})", absolute=rf"([A-Za-z][{ALNUM}+\-.]*):{o['URIC']}+",
        param=rf"{SWS};{SWS}({TOKEN})(?:{SWS}={SWS}({value}))?",
        via_param=rf"{SWS};{SWS}(?:((?i:received)){SWS}={SWS}({IPV6[2:-2]})(?=[;,\s]|$)|({TOKEN})(?:{SWS}={SWS}({value}))?)",
        lws=LWS, display=rf"{SWS}(?:{o['QUOTED']}|{o['DISPLAY']})", langle=rf"{SWS}<", via=rf"{SWS}({TOKEN}){SWS}/{SWS}({TOKEN}){SWS}/{SWS}({TOKEN}){LWS}",
        sentby=rf"({o['HOST']})", port=rf"{SWS}:{SWS}([0-9]+)", cseq=rf"([0-9]+){LWS}({TOKEN})", digits=r"[0-9]+", header=r"([^:\r\n]*?)[ \t]*:",
        folded=r"\r\n[ \t]")
    return {k: re.compile(v.replace(LWS, o["LWS"]), re.S if k in ("param", "via_param", "display", "value") else 0) for k, v in rules.items()} | {"EMPTY": o["EMPTY"]}


STRICT, LENIENT = grammar(STRICT), grammar(LENIENT)


def is_ipv6(text):
    try:
        socket.inet_pton(socket.AF_INET6, text)
        return True
    except OSError:
        return False


class Reading:
    def __init__(self, raw, lenient=False):
        self.c = LENIENT if lenient else STRICT
        self.f, self.bad, self.odd = {}, set(), set()
        self.s = raw.decode("latin-1")
        self.read()

    # --- URI and name-addr -------------------------------------------------------------------------------------------------
    def uri(self, s, key):
        """The parts of a URI into fields key.*; what is wrong with it as a name, or None."""
        f = {}
        m = self.c["sip"].fullmatch(s)
        scheme = s.partition(":")[0].lower()
        if m:
            f = {"scheme": m[1], "user": m[2], "host": m[4], "port": m[5]}
            if m[5] and int(m[5]) > 65535:
                return "port-range"
            if "?" in m[6]:
                self.odd.add(key + ".headers")
            if m[3] is not None:
                self.odd.add(key + ".password")
            if m[4].startswith("["):
                self.odd.add("host.ipv6")
                if not is_ipv6(m[4][1:-1]):
                    self.odd.add(key + ".ipv6-value")
            if "%" in (m[2] or ""):
                self.odd.add(key + ".escape")
            if "%00" in (m[2] or ""):
                self.odd.add(key + ".escaped-nul")
            if set(m[2] or "") & set(";?/,"):
                self.odd.add(key + ".user-reserved")
        elif scheme in ("sip", "sips"):
            return self.why_not_sip(s.partition(":")[2])
        elif scheme == "tel":
            if not self.c["tel"].fullmatch(s):
                return "tel"
            f = {"scheme": "tel"}
            self.odd.add(key + ".scheme")
        elif self.c["absolute"].fullmatch(s):
            f = {"scheme": scheme}
            self.odd.add(key + ".scheme")
        else:
            return "scheme"
        for k, v in f.items():
            if v:
                self.f[f"{key}.{k}"] = v
        return None

    def why_not_sip(self, s):
        at = s.rfind("@")
        if at >= 0:
            user, _, password = s[:at].partition(":")
            if not self.c["user"].fullmatch(user) or not re.fullmatch(PASSWORD, password):
                return "user"
            s = s[at + 1:]
        m = self.c["host"].match(s)
        if not m:
            return "host"
        s = s[m.end():]
        m = re.match(r":([0-9]+)", s)
        if m:
            if int(m[1]) > 65535:
                return "port-range"
            s = s[m.end():]
        if s and s[0] not in ";?":
            return "port" if s[0] == ":" else "host"
        return "uri-params" if s[:1] == ";" and not re.fullmatch(URI_PARAMS, s.partition("?")[0]) else "uri-headers"

    def tag_value(self, v):
        return self.c["EMPTY"] or re.fullmatch(TOKEN, v)

    def params(self, s, at, form="param"):
        """All generic parameters from at: (list of (name, value), position behind the last)."""
        out = []
        while True:
            m = self.c[form].match(s, at)
            if not m:
                break
            name, value = (m[1] or m[3], m[2] or m[4]) if form == "via_param" else (m[1], m[2])
            out.append((name.lower(), value))
            at = m.end()
        m = self.c["lws"].match(s, at)
        return out, m.end() if m else at

    def address(self, s, at, key):
        """One name-addr or addr-spec with parameters from at. (what is wrong or None, its parameters, position behind it)."""
        m = self.c["display"].match(s, at)
        a = self.c["langle"].match(s, m.end()) if m else None
        if a:
            if m[0].lstrip().startswith('"'):
                self.odd.add("display.quoted")
                if "\\" in m[0]:
                    self.odd.add("display.escape")
            end = s.find(">", a.end())
            if end < 0:
                return "angle", [], len(s)
            wrong = self.uri(s[a.end():end], key)
            if wrong:
                return wrong, [], end + 1
            at = end + 1
        else:
            lead = self.c["lws"].match(s, at)
            at = lead.end() if lead else at
            m = re.compile(r"[^;,?\s<>\"]+").match(s, at)
            if not m:
                return "display", [], len(s)
            self.odd.add(key + ".bare")
            wrong = self.uri(m[0], key)
            if wrong:
                rest = s[m.end():].lstrip()
                return ("display" if rest[:1] in ('<', '"') or "<" in rest else wrong), [], m.end()
            at = m.end()
        ps, at = self.params(s, at)
        return None, ps, at

    def party(self, value, key):
        wrong, ps, at = self.address(value, 0, key)
        if wrong is None and at != len(value):
            wrong = "params"
        if wrong:
            self.bad.add(f"{key}.{wrong}")
            return
        tags = [v for n, v in ps if n == "tag"]
        if any(not v or not self.tag_value(v) for v in tags):
            self.bad.add(key + ".tag")  # tag-param = "tag" EQUAL token
        if len(tags) > 1:
            self.bad.add(key + ".two-tags")
        if tags and tags[0]:
            self.f[key + ".tag"] = tags[0]

    def contacts(self, values):
        if self.c["EMPTY"]:
            values = [v for v in values if v.strip(", \t\r\n")]
        n, first = 0, dict(self.f)
        for v in values:
            if v.strip() == "*":
                n += 1
                if n == 1:
                    self.f["contact.uri"] = "*"
                continue
            at = 0
            while True:
                if self.c["EMPTY"]:
                    m = re.compile(r"(?:[ \t\r\n]*,)*[ \t\r\n]*").match(v, at)
                    at = m.end()
                    if at == len(v):
                        break
                keep = dict(self.f)
                wrong, _, at = self.address(v, at, "contact")
                if wrong or (at < len(v) and v[at] != ","):
                    if not v:
                        wrong = "empty"
                    self.f = first
                    self.f["contacts"] = "bad"
                    self.bad.add("contact." + (wrong or "params"))
                    return
                if n > 0:
                    self.f = keep
                n += 1
                if at >= len(v):
                    break
                at += 1
        if n:
            self.f["contacts"] = str(n)

    # --- Via ---------------------------------------------------------------------------------------------------------------
    def one_via(self, s, at):
        """(fields, what is wrong or None, position behind)."""
        f = {}
        m = self.c["via"].match(s, at)
        if not m:
            return f, "protocol", len(s)
        if "\r" in m[0] or not re.fullmatch(r"\s*[^/\s]+/[^/\s]+/[^/\s]+ ", m[0]):
            self.odd.add("via.space")
        if m[1].upper() != "SIP" or m[2] != "2.0":
            self.odd.add("via.other-protocol")
        f["via.transport"] = m[3]
        h = self.c["sentby"].match(s, m.end())
        if not h:
            return f, "host", len(s)
        f["via.host"] = h[1]
        if h[1].startswith("["):
            self.odd.add("host.ipv6")
            if not is_ipv6(h[1][1:-1]):
                self.odd.add("via.ipv6-value")
        at = h.end()
        p = self.c["port"].match(s, at)
        if p:
            if int(p[1]) > 65535:
                return f, "port-range", len(s)
            if p[0] != ":" + p[1]:
                self.odd.add("via.space")
            f["via.port"] = p[1]
            at = p.end()
        elif re.compile(rf"{SWS}:").match(s, at):
            return f, "port", len(s)
        ps, end = self.params(s, at, "via_param")
        for n, v in ps:
            if n == "branch" and (not v or not self.tag_value(v)) and not (self.c["EMPTY"] and not v):
                return f, "branch", end
            if n == "rport" and v is not None and (not v.isdigit() or int(v) > 65535):
                return f, "rport", end
            if n == "branch" and "via.branch" in f:
                return f, "two-branches", end
            if n == "branch":
                f["via.branch"] = v
            if n in ("ttl", "maddr", "received") and not v and not self.c["EMPTY"]:
                return f, "param", end
        if end < len(s) and s[end] != ",":
            return f, "host" if not ps and s[end] not in "; \t" else "param", len(s)
        return f, None, end

    def vias(self, values):
        n = 0
        for v in values:
            at = 0
            if not v:
                self.bad.add("lower-via" if n else "via.protocol")
                n += not self.c["EMPTY"]
                continue
            while True:
                if self.c["EMPTY"]:
                    m = re.compile(r"(?:[ \t\r\n]*,)*[ \t\r\n]*").match(v, at)
                    at = m.end()
                    if at == len(v):
                        break
                f, wrong, at = self.one_via(v, at)
                n += 1
                if n == 1:
                    if wrong:
                        self.bad.add("via." + wrong)
                    else:
                        self.f.update(f)
                elif wrong:
                    self.bad.add("lower-via")
                if wrong:  # how many more there are is told by the commas
                    n += len([x for x in split_list(v[at:]) if x.strip() or not self.c["EMPTY"]]) if at < len(v) else 0
                    break
                if at >= len(v):
                    break
                at += 1
        self.f["vias"] = str(n)

    # --- the message -------------------------------------------------------------------------------------------------------
    def start(self, line):
        if line[:4].upper() == "SIP/":
            self.f["response"] = "1"
            m = re.fullmatch(r"((?i:SIP)/2\.0) ([1-6][0-9]{2}) (.*)", line, re.S)
            if not m:
                self.bad.add("start.version" if re.match(r"(?i:SIP)/[0-9]+\.[0-9]+ ", line) and not re.match(r"(?i:SIP)/2\.0 ", line) else "start.status")
                return
            self.f["status"] = m[2]
            if re.search(r"[\x00-\x08\x0a-\x1f\x7f]", m[3]):
                self.bad.add("start.reason")
            return
        parts = line.split(" ")
        if not re.fullmatch(TOKEN, parts[0]):
            self.bad.add("start.method")
            return
        self.f["method"] = parts[0]
        if len(parts) != 3:
            self.bad.add("start.parts")
        elif not re.fullmatch(r"(?i:SIP)/2\.0", parts[2]):
            self.bad.add("start.version" if re.fullmatch(r"(?i:SIP)/[0-9]+\.[0-9]+", parts[2]) else "start.parts")
        if len(parts) > 1:
            wrong = self.uri(parts[1], "ruri")
            if wrong:
                self.bad.add("ruri." + wrong)
            elif "ruri.headers" in self.odd:
                self.bad.add("ruri.has-headers")

    def number(self, name, value, most):
        if not self.c["digits"].fullmatch(value):
            self.bad.add(name)
            return None
        if int(value) > most:
            self.bad.add(name + "-range")
            return None
        return int(value)

    def read(self):
        s = self.s
        while s.startswith("\r\n"):
            self.odd.add("leading-crlf")
            s = s[2:]
        head, mark, body = s.partition("\r\n\r\n")
        if not mark:
            self.bad.add("head.end")
        if re.search(r"(?<!\r)\n|\r(?!\n)", head):
            self.bad.add("line.bare")
        if "\0" in head:
            self.odd.add("nul")
        if re.search(r"[\x01-\x08\x0b\x0c\x0e-\x1f\x7f]", head):
            self.odd.add("control")
        if re.search(r"[\x80-\xff]", head):
            self.odd.add("eight-bit")
        lines = re.split(r"\r\n(?![ \t])", head)
        if "\r\n" in lines[0]:
            self.bad.add("start.folded")
        self.start(lines[0])
        h = {}
        for line in lines[1:]:
            if self.c["folded"].search(line):
                self.odd.add("folded")
            m = self.c["header"].match(line)
            if not m or not re.fullmatch(TOKEN, m[1]):
                self.bad.add("header")
                continue
            name = m[1].lower()
            if len(name) == 1:
                self.odd.add("compact")
            if m[0] != m[1] + ":":
                self.odd.add("colon.space")
            h.setdefault(SPECIAL.get(name, name), []).append(re.sub(r"\A[ \t\r\n]+|[ \t\r\n]+\Z", "", line[m.end():]))
        self.h = h
        self.headers(h, len(body) if mark else 0)

    def headers(self, h, there):
        for name in ("via", "from", "to", "call-id", "cseq"):
            if name not in h:
                self.bad.add("missing." + name)
        for name in ("from", "to", "call-id", "cseq", "max-forwards", "content-length"):
            if len(h.get(name, ())) > 1:
                self.bad.add("twice")
        if "via" in h:
            self.vias(h["via"])
        for name in ("from", "to"):
            if name in h:
                self.party(h[name][0], name)
        if "call-id" in h:
            self.f["callid"] = h["call-id"][0]
            if not self.c["callid"].fullmatch(h["call-id"][0]):
                self.bad.add("callid")
        if "cseq" in h:
            m = self.c["cseq"].fullmatch(h["cseq"][0])
            if not m:
                self.bad.add("cseq")
            elif int(m[1]) >= 2 ** 31:
                self.bad.add("cseq-range")
            else:
                self.f["cseq"], self.f["cseq.method"] = m[1], m[2]
                if "method" in self.f and m[2] != self.f["method"]:
                    self.bad.add("cseq.mismatch")
        if "max-forwards" in h:
            v = self.number("maxf", h["max-forwards"][0], 255)
            if v is not None:
                self.f["maxf"] = str(v)
        if "expires" in h:
            v = h["expires"][0]
            good = self.c["digits"].fullmatch(v) and int(v) < 2 ** 32
            self.f["expires"] = str(int(v)) if good else "bad"
            if not good:
                self.bad.add("expires")
        self.contacts(h.get("contact", ()))
        length = there
        if "content-length" in h:
            v = self.number("length", h["content-length"][0], 1 << 64)
            if v is not None and v > there:
                self.bad.add("length-beyond")
            elif v is not None:
                if v < there:
                    self.odd.add("length-short")
                length = v
        elif there:
            self.odd.add("length-absent")
        self.f["body"] = str(length)
        routes = sum(len([x for x in split_list(v) if x.strip()]) for v in h.get("route", ()))
        if routes:
            self.f["routes"] = str(routes)

    SOFT = ("contact.", "lower-via", "expires")  # read when asked for, not when the message comes

    def verdict(self):
        return "reject" if any(not b.startswith(self.SOFT) for b in self.bad) else "accept"


def split_list(v):
    out, depth, quote, cur, i = [], False, False, "", 0
    while i < len(v):
        c = v[i]
        if quote:
            if c == "\\" and i + 1 < len(v):
                cur += c
                i += 1
                c = v[i]
            elif c == '"':
                quote = False
        elif c == '"' and not depth:
            quote = True
        elif c == "<":
            depth = True
        elif c == ">":
            depth = False
        elif c == "," and not depth:
            out.append(cur)
            cur = ""
            i += 1
            continue
        cur += c
        i += 1
    return out + [cur]
