#include "sip/auth/params.h"

/* TOKEN: RFC 7230. BARE: what an unquoted value may hold; phones write uri=sip:host without quotes too, so all but comma,
 * space and quote belongs to it. */
enum { TOKEN = 1, BARE = 2, SPACE = 4 };
static const unsigned char class_of[256] = {
	0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 4, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	4, 3, 0, 3, 3, 3, 3, 3, 2, 2, 3, 3, 0, 3, 3, 2, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 2, 2, 2, 2, 2, 2,
	2, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 2, 0, 2, 3, 3,
	3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 2, 3, 2, 3, 0,
};

static bool is(unsigned set, char c)
{
	return class_of[(unsigned char)c] & set;
}

static size_t run_of(unsigned set, struct span s)
{
	size_t n = 0;
	while (n < s.n && is(set, s.p[n]))
		n++;
	return n;
}

static void skip_space(struct span *s)
{
	while (s->n && is(SPACE, s->p[0])) {
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
	if (!span_istarts(s, SPAN_LIT("Digest")) || (s.n > 6 && !is(SPACE, s.p[6])))
		return false;
	take(&s, 6);
	*rest = s;
	return true;
}

static int quoted(struct span *s, struct span *value)
{
	const char *end = memchr(s->p + 1, '"', s->n - 1);
	size_t i = end ? (size_t)(end - s->p) : s->n;
	if (end && memchr(s->p + 1, '\\', i - 1)) { /* the quote found may be an escaped one */
		for (i = 1; i < s->n && s->p[i] != '"'; i++)
			if (s->p[i] == '\\')
				i++; /* whatever follows is content; at the very end no quote is found */
	}
	if (i >= s->n)
		return -1;
	*value = (struct span){s->p + 1, i - 1};
	take(s, i + 1);
	return 1;
}

static int bare(struct span *s, struct span *value)
{
	*value = take(s, run_of(BARE, *s));
	return value->n ? 1 : -1;
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
	size_t n = run_of(TOKEN, s);
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
