#include "sip/msg/redact.h"

static struct span name_of(struct span line)
{
	ptrdiff_t colon = span_chr(line, ':');
	return colon < 0 ? SPAN_NONE : span_trim(span_sub(line, 0, (size_t)colon));
}

static bool is_folded(struct span line)
{
	return line.n && (line.p[0] == ' ' || line.p[0] == '\t');
}

static void blot(char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] != '\r')
			p[i] = '*';
}

/* "Digest username=..." keeps its first word when that is a word: a value without a scheme may be the secret itself. */
static size_t scheme_length(struct span value)
{
	size_t i = 0;
	while (i < value.n && ascii_lower(value.p[i]) >= 'a' && ascii_lower(value.p[i]) <= 'z')
		i++;
	return i < value.n && value.p[i] == ' ' ? i + 1 : 0;
}

void sip_redact(char *bytes, size_t n)
{
	bool secret = false;
	for (size_t at = 0; at < n;) {
		struct span line = {bytes + at, n - at};
		ptrdiff_t end = span_chr(line, '\n');
		line.n = end < 0 ? line.n : (size_t)end;
		size_t keep = 0;
		if (!(secret && is_folded(line))) {
			struct span name = name_of(line);
			secret = span_ieqz(name, "Authorization") || span_ieqz(name, "Proxy-Authorization");
			if (secret) {
				keep = (size_t)span_chr(line, ':') + 1;
				while (keep < line.n && (line.p[keep] == ' ' || line.p[keep] == '\t'))
					keep++;
				keep += scheme_length(span_sub(line, keep, line.n));
			}
		}
		if (secret)
			blot(bytes + at + keep, line.n - keep);
		at += line.n + 1;
	}
}

static struct span without_cr(struct span line)
{
	return line.n && line.p[line.n - 1] == '\r' ? span_sub(line, 0, line.n - 1) : line;
}

void sip_glance(struct sip_glance *g, struct span bytes)
{
	struct span rest = bytes;
	*g = (struct sip_glance){.first = without_cr(span_cut(&rest, '\n'))};
	g->headers = (struct span){rest.p, 0};
	while (rest.p) {
		struct span line = without_cr(span_cut(&rest, '\n'));
		if (!line.n)
			break;
		g->headers.n = (size_t)(line.p + line.n - g->headers.p);
		struct span name = name_of(line);
		if (!g->call_id.n && (span_ieqz(name, "Call-ID") || span_ieqz(name, "i")))
			g->call_id = span_trim(span_sub(line, (size_t)span_chr(line, ':') + 1, line.n));
	}
}
