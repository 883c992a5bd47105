"""A strict parser of the Prometheus text format 0.0.4: whatever the format does not allow is an error."""
import re

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
SAMPLE = re.compile(rf"({NAME})(?:\{{(.*)\}})? (\S+)")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(,|$)')
TYPES = {"counter", "gauge", "histogram", "summary", "untyped"}


def labels_of(text):
    out, at = {}, 0
    while text and at < len(text):
        m = LABEL.match(text, at)
        assert m and m[1] not in out, text
        out[m[1]] = m[2]
        at = m.end()
    return out


def parse(text):
    """{name: {(label, value), ...}: float}; families and their types are checked on the way."""
    assert text.endswith("\n") and "\r" not in text
    values, types, helped, family = {}, {}, set(), None
    for line in text[:-1].split("\n"):
        if line.startswith("# HELP "):
            _, _, family, rest = line.split(" ", 3)
            assert re.fullmatch(NAME, family) and family not in helped and rest.strip(), line
            helped.add(family)
        elif line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name == family and name not in types and kind in TYPES, line
            types[name] = kind
        else:
            m = SAMPLE.fullmatch(line)
            assert m, line
            name, labels, value = m[1], labels_of(m[2]), float(m[3])
            base = name
            if types[family] in ("histogram", "summary"):
                base = re.sub("_(bucket|sum|count)$", "", name)
                assert name != base, line
            assert base == family, f"{line}: outside of its family"
            key = tuple(sorted(labels.items()))
            assert key not in values.setdefault(name, {}), f"{line}: twice"
            assert types[family] != "counter" or (name.endswith("_total") and value >= 0), line
            values[name][key] = value
    for name, kind in types.items():
        if kind == "histogram":
            check_histogram(name, values)
    return values, types


def check_histogram(name, values):
    le = [(float(dict(k)["le"]), v) for k, v in values[name + "_bucket"].items()]
    assert le == sorted(le) and [v for _, v in le] == sorted(v for _, v in le), name
    assert le[-1][0] == float("inf") and le[-1][1] == values[name + "_count"][()], name
    assert values[name + "_sum"][()] >= 0
