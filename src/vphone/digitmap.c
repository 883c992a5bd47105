/* Digit map: section 4, point V25 (R, T, ".", "[]", ",", "+"). Each alternative is compiled to at most 64 elements and
 * run over the digits as a table of reached places, so no input makes it slow or deep. */
#include "vphone/machine.h"

enum { MAX_EL = 64, MAX_DIGITS = 32, SYM_STAR = 10, SYM_HASH = 11, SYM_PLUS = 12 };

struct element {
	uint16_t set;    /* bit per symbol */
	bool star;       /* zero or more */
	bool comma;      /* second dial tone is due in front of it */
	int8_t part;     /* replacement it belongs to; -1 none */
};

struct pattern {
	struct element el[MAX_EL];
	int n;
	bool timer;      /* ends in T */
	bool end_comma;
	struct span by[4]; /* replacement texts */
	int at[4];         /* element before which by[i] stands */
	int n_by;
};

static int symbol(char c)
{
	if (ascii_digit(c))
		return c - '0';
	return c == '*' ? SYM_STAR : c == '#' ? SYM_HASH : c == '+' ? SYM_PLUS : -1;
}

/* "[2-9]", "[138]"; returns the bytes used, 0 when broken. */
static size_t parse_class(struct span s, uint16_t *set)
{
	size_t i = 1;
	*set = 0;
	while (i < s.n && s.p[i] != ']') {
		int a = symbol(s.p[i]), b = a;
		if (i + 2 < s.n && s.p[i + 1] == '-' && s.p[i + 2] != ']') {
			b = symbol(s.p[i + 2]);
			i += 2;
		}
		if (a < 0 || b < a)
			return 0;
		for (int k = a; k <= b; k++)
			*set |= (uint16_t)(1 << k);
		i++;
	}
	return i < s.n ? i + 1 : 0;
}

/* R a R b R: on the first R a part begins; the text between the second and third is what it becomes. */
static size_t parse_by(struct pattern *m, struct span s)
{
	ptrdiff_t end = span_chr(s, 'R');
	if (end < 0 || m->n_by == 4)
		return 0;
	m->by[m->n_by++] = span_sub(s, 0, (size_t)end);
	return (size_t)end + 1;
}

static bool compile(struct span s, struct pattern *m)
{
	bool in_part = false, comma = false;
	*m = (struct pattern){0};
	for (size_t i = 0; i < s.n;) {
		struct element e = {.part = in_part ? (int8_t)m->n_by : (int8_t)-1, .comma = comma};
		char c = s.p[i];
		size_t used = 1;
		if (c == 'T') {
			m->timer = true;
			i++;
			continue;
		}
		if (c == 'S' && i + 1 < s.n && s.p[i + 1] == '0') { /* at once */
			i += 2;
			continue;
		}
		if (c == ',') {
			comma = true;
			i++;
			continue;
		}
		if (c == '.') {
			if (m->n == 0)
				return false;
			m->el[m->n - 1].star = true;
			i++;
			continue;
		}
		if (c == 'R' && !in_part) {
			if (m->n_by == 4)
				return false;
			in_part = true;
			m->at[m->n_by] = m->n;
			i++;
			continue;
		}
		if (c == 'R') {
			in_part = false;
			used = parse_by(m, span_sub(s, i + 1, s.n));
			if (!used)
				return false;
			i += 1 + used;
			continue;
		}
		if (c == 'x')
			e.set = 0x3ff;
		else if (c == '[')
			used = parse_class(span_sub(s, i, s.n), &e.set);
		else
			e.set = symbol(c) >= 0 ? (uint16_t)(1 << symbol(c)) : 0;
		if (!e.set || !used || m->n == MAX_EL)
			return false;
		m->el[m->n++] = e;
		comma = false;
		i += used;
	}
	m->end_comma = comma;
	return !in_part && (m->n > 0 || m->n_by > 0);
}

/* reach[i] bit j: the first j digits bring us before element i. */
static void run(const struct pattern *m, struct span digits, uint64_t reach[MAX_EL + 1])
{
	memset(reach, 0, sizeof(uint64_t) * (MAX_EL + 1));
	reach[0] = 1;
	for (int i = 0; i < m->n; i++) {
		const struct element *e = &m->el[i];
		for (size_t j = 0; j <= digits.n; j++) {
			if (!(reach[i] >> j & 1))
				continue;
			bool eats = j < digits.n && symbol(digits.p[j]) >= 0 && (e->set >> symbol(digits.p[j]) & 1);
			if (e->star) {
				reach[i + 1] |= UINT64_C(1) << j;
				if (eats)
					reach[i] |= UINT64_C(1) << (j + 1);
			} else if (eats) {
				reach[i + 1] |= UINT64_C(1) << (j + 1);
			}
		}
	}
}

/* More digits could still fit. */
static bool open_ended(const struct pattern *m, const uint64_t *reach, size_t n)
{
	for (int i = 0; i < m->n; i++)
		if (reach[i] >> n & 1)
			return true;
	return false;
}

static bool tone_due(const struct pattern *m, const uint64_t *reach, size_t n)
{
	for (int i = 0; i < m->n; i++)
		if ((reach[i] >> n & 1) && m->el[i].comma && n > 0)
			return true;
	return m->end_comma && (reach[m->n] >> n & 1);
}

/* Walks back through the table: which element took which digit; then writes with the replacements in place. */
static void rewrite(const struct pattern *m, const uint64_t *reach, struct span digits, char *dst, size_t cap)
{
	int8_t owner[MAX_DIGITS + 1];
	int i = m->n;
	size_t j = digits.n;
	while (i > 0 || j > 0) {
		const struct element *e = i < m->n ? &m->el[i] : NULL;
		if (e && e->star && j > 0 && (reach[i] >> (j - 1) & 1) && symbol(digits.p[j - 1]) >= 0 && (e->set >> symbol(digits.p[j - 1]) & 1)) {
			owner[--j] = (int8_t)i;
			continue;
		}
		if (i == 0)
			break;
		i--;
		if (m->el[i].star)
			continue;
		owner[--j] = (int8_t)i;
	}
	struct text t = text_on(dst, cap);
	int done = 0;
	for (j = 0; j < digits.n; j++) {
		while (done < m->n_by && m->at[done] <= owner[j])
			text_put(&t, m->by[done++]);
		if (m->el[owner[j]].part < 0)
			text_putc(&t, digits.p[j]);
	}
	while (done < m->n_by)
		text_put(&t, m->by[done++]);
	if (!text_end(&t))
		dst[0] = 0;
}

/* The shortest match fires at once; with T at the time-out; none possible: impossible (section 4, Matching). */
void vp_digitmap(struct span map, struct span digits, struct vp_dm_result *out)
{
	uint64_t reach[MAX_EL + 1];
	struct pattern m;
	*out = (struct vp_dm_result){.verdict = VP_DM_IMPOSSIBLE, .pattern = -1};
	if (digits.n > MAX_DIGITS)
		return;
	for (int p = 0; map.p; p++) {
		struct span alt = span_trim(span_cut(&map, '|'));
		if (!compile(alt, &m))
			continue;
		run(&m, digits, reach);
		out->second_tone |= tone_due(&m, reach, digits.n);
		bool full = digits.n > 0 && (reach[m.n] >> digits.n & 1);
		if (full && !m.timer) {
			rewrite(&m, reach, digits, out->send, sizeof out->send);
			out->verdict = VP_DM_SEND;
			out->pattern = p;
			return;
		}
		if (full && out->verdict != VP_DM_WAIT) {
			rewrite(&m, reach, digits, out->send, sizeof out->send);
			out->verdict = VP_DM_WAIT;
			out->pattern = p;
		} else if (open_ended(&m, reach, digits.n) && out->verdict == VP_DM_IMPOSSIBLE) {
			out->verdict = VP_DM_MORE;
		}
	}
}
