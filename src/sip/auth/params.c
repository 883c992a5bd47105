#include "sip/auth/params.h"

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* RFC 7230 token, by what may not stand in it: everything else is left to the one who compares. */
static bool is_token(char c)
{
	return c > ' ' && c < 127 && !strchr("\"(),/:;<=>?@[\\]{}", c);
}

static void skip_space(struct span *s)
{
	while (s->n && is_space(s->p[0])) {
		s->p++;
		s->n--;
	}
}

static struct span take(struct span *s, size_t n)
{
	struct span head = {s->p, n};
	s->p += n;
	s->n -= n;
	return head;
}

bool auth_scheme_digest(struct span *rest)
{
	struct span s = span_trim(*rest);
	if (!span_istarts(s, SPAN_LIT("Digest")) || (s.n > 6 && !is_space(s.p[6])))
		return false;
	take(&s, 6);
	*rest = s;
	return true;
}

static int quoted(struct span *s, struct span *value)
{
	for (size_t i = 1; i < s->n; i++) {
		if (s->p[i] == '\\') {
			i++; /* whatever follows is content; at the very end the loop finds no quote */
		} else if (s->p[i] == '"') {
			*value = (struct span){s->p + 1, i - 1};
			take(s, i + 1);
			return 1;
		}
	}
	return -1;
}

/* Unquoted: phones write uri=sip:host without quotes too, so all but comma, space and quote belongs to it. */
static int bare(struct span *s, struct span *value)
{
	size_t n = 0;
	while (n < s->n && s->p[n] > ' ' && s->p[n] < 127 && s->p[n] != ',' && s->p[n] != '"' && s->p[n] != '\\')
		n++;
	*value = take(s, n);
	return n ? 1 : -1;
}

int auth_param_next(struct span *rest, struct span *name, struct span *value)
{
	struct span s = *rest;
	skip_space(&s);
	while (s.n && s.p[0] == ',') { /* empty elements are allowed in a list */
		take(&s, 1);
		skip_space(&s);
	}
	if (!s.n) {
		*rest = s;
		return 0;
	}
	size_t n = 0;
	while (n < s.n && is_token(s.p[n]))
		n++;
	*name = take(&s, n);
	skip_space(&s);
	if (!n || !s.n || s.p[0] != '=')
		return -1;
	take(&s, 1);
	skip_space(&s);
	int rc = s.n && s.p[0] == '"' ? quoted(&s, value) : bare(&s, value);
	if (rc < 0 || value->n > AUTH_MAX_VALUE)
		return -1;
	skip_space(&s);
	if (s.n && s.p[0] != ',')
		return -1;
	*rest = s;
	return 1;
}
