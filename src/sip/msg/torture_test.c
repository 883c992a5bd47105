#include "harness/harness.h"

#include "sip/msg/msg.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OK = 0, DROP = -1 };

/* RFC 4475 and, behind it, RFC 5118: what the parser alone makes of each vector. Unknown schemes (416), extensions (420), methods (501), content
 * types (415), Max-Forwards 0 (483) and a bad Contact (regbadct) are for the layers above: tests/rfc4475.tsv has those. */
static const struct {
	const char *vector;
	int verdict; /* OK, DROP or the status of the refusal */
} table[] = {
	{"badaspec", 400},
	{"badbranch", 400},
	{"baddate", OK},
	{"baddn", 400},
	{"badinv01", 400},
	{"badvers", 505},
	{"bcast", OK},
	{"bext01", OK},
	{"bigcode", DROP},
	{"clerr", 400},
	{"cparam01", OK},
	{"cparam02", OK},
	{"dblreq", OK},
	{"esc01", OK},
	{"esc02", OK},
	{"escnull", OK},
	{"escruri", 400},
	{"insuf", 400},
	{"intmeth", OK},
	{"inv2543", OK},
	{"invut", OK},
	{"longreq", OK},
	{"ltgtruri", 400},
	{"lwsdisp", OK},
	{"lwsruri", 400},
	{"lwsstart", 400},
	{"mcl01", 400},
	{"mismatch01", 400},
	{"mismatch02", 400},
	{"mpart01", OK},
	{"multi01", 400},
	{"ncl", 400},
	{"noreason", OK},
	{"novelsc", OK},
	{"quotbal", 400},
	{"regaut01", OK},
	{"regbadct", OK},
	{"regescrt", OK},
	{"scalar02", 400},
	{"scalarlg", DROP},
	{"sdp01", OK},
	{"semiuri", OK},
	{"transports", OK},
	{"trws", 400},
	{"unkscm", OK},
	{"unksm2", OK},
	{"unreason", OK},
	{"wsinv", OK},
	{"zeromf", OK},
	{"ipv4-mapped-ipv6", OK},
	{"ipv6-bad", 400},
	{"ipv6-bug-abnf-3-colons", 400},
	{"ipv6-correct-abnf-2-colons", OK},
	{"ipv6-good", OK},
	{"ipv6-in-sdp", OK},
	{"mult-ip-in-header", OK},
	{"mult-ip-in-sdp", OK},
	{"port-ambiguous", OK},
	{"port-unambiguous", OK},
	{"via-received-param-no-delim", OK},
	{"via-received-param-with-delim", OK},
};
enum { N = sizeof table / sizeof table[0] };

static struct sip_msg m;
static struct sip_error err;

static FILE *open_in(const char *const *folders, const char *name)
{
	char path[600];
	for (; *folders; folders++) {
		snprintf(path, sizeof path, "%s/%s", *folders, name);
		FILE *f = fopen(path, "rb");
		if (f)
			return f;
	}
	return NULL;
}

/* The vector in a block of just its size; the caller frees it. */
static struct span load(const char *vector)
{
	static char buf[SIP_MAX_MESSAGE];
	char name[64], env[512] = ".";
	const char *shared = getenv("STROWGER_SHARED");
	if (shared)
		snprintf(env, sizeof env, "%s/data/rfc4475", shared);
	const char *const folders[] = {env, "../shared/data/rfc4475", "../../shared/data/rfc4475", "../../../shared/data/rfc4475",
				     "tests/rfc5118", "../tests/rfc5118", NULL};
	snprintf(name, sizeof name, "%s.dat", vector);
	FILE *f = open_in(folders, name);
	if (!f)
		fail_msg("%s not found; set STROWGER_SHARED", name);
	size_t n = fread(buf, 1, sizeof buf, f);
	fclose(f);
	char *p = malloc(n + 1);
	assert_non_null(p);
	p = realloc(memcpy(p, buf, n), n);
	assert_non_null(p);
	return span_mem(p, n);
}

static int verdict(struct span s)
{
	if (sip_parse(&m, s, &err) == 0)
		return OK;
	return err.answerable ? err.status : DROP;
}

static void every_vector_has_its_verdict(void **state)
{
	(void)state;
	assert_int_equal(N, 49 + 12);
	for (size_t i = 0; i < N; i++) {
		struct span s = load(table[i].vector);
		int v = verdict(s);
		if (v != table[i].verdict)
			fail_msg("%s: %d instead of %d (%s)", table[i].vector, v, table[i].verdict, v ? err.reason : "accepted");
		free((void *)(uintptr_t)s.p);
	}
}

static void live_table_agrees(void **state)
{
	(void)state;
	const char *const folders[] = {"tests", "../tests", NULL};
	static const char *const tables[] = {"rfc4475.tsv", "rfc5118.tsv"};
	char line[400], name[64], word[16];
	size_t seen = 0;
	for (size_t t = 0; t < sizeof tables / sizeof tables[0]; t++) {
		FILE *f = open_in(folders, tables[t]);
		if (!f)
			fail_msg("tests/%s not found from here", tables[t]);
		while (fgets(line, sizeof line, f)) {
			if (line[0] == '#' || sscanf(line, "%63s %15s", name, word) != 2)
				continue;
			int v = !strcmp(word, "ok") ? OK : !strcmp(word, "drop") ? DROP : atoi(word);
			for (size_t i = 0; i < N; i++)
				if (!strcmp(name, table[i].vector) && v == table[i].verdict)
					seen++;
		}
		fclose(f);
	}
	assert_int_equal(seen, N);
}

/* What the fields must hold where reading them is the point of the vector. */
static void values_are_read_right(void **state)
{
	(void)state;
	char buf[64];
	struct sip_nameaddr c;
	struct sip_contact_iter it = {0};
	struct span s = load("wsinv");
	assert_int_equal(verdict(s), OK);
	assert_int_equal(m.cseq, 9);
	assert_int_equal(m.max_forwards, 68);
	assert_true(span_eqz(m.to.tag, "1918181833n") && span_eqz(m.from.tag, "98asjd8"));
	assert_true(span_eqz(m.via.branch, "390skdjuw") && span_eqz(m.via.host, "192.0.2.2"));
	assert_true(span_eqz(sip_display(&m.from, buf, sizeof buf), "J Rosenberg \\\""));
	assert_int_equal(m.body.n, 150);
	assert_int_equal(sip_contact_next(&m, SIP_H_CONTACT, &it, &c), 1);
	assert_true(span_eqz(c.uri.host, "example.com"));
	free((void *)(uintptr_t)s.p);

	s = load("semiuri");
	assert_int_equal(verdict(s), OK);
	assert_true(span_eqz(m.ruri.user, "user;par=u%40example.net") && span_eqz(m.ruri.host, "example.com"));
	free((void *)(uintptr_t)s.p);

	s = load("esc02");
	assert_int_equal(verdict(s), OK);
	assert_int_equal(m.method, SIP_OTHER_METHOD);
	free((void *)(uintptr_t)s.p);

	s = load("escnull");
	assert_int_equal(verdict(s), OK);
	assert_null(sip_unescape(m.to.uri.user, buf, sizeof buf).p);
	free((void *)(uintptr_t)s.p);

	s = load("dblreq");
	assert_int_equal(verdict(s), OK);
	assert_true(m.body.n == 0 && m.raw.n < s.n);
	free((void *)(uintptr_t)s.p);

	s = load("regbadct");
	it = (struct sip_contact_iter){0};
	assert_int_equal(verdict(s), OK);
	assert_int_equal(sip_contact_next(&m, SIP_H_CONTACT, &it, &c), -1);
	free((void *)(uintptr_t)s.p);

	s = load("port-ambiguous"); /* RFC 5118 4.3: the port is a part of the address */
	assert_int_equal(verdict(s), OK);
	assert_true(m.ruri.port == 0 && span_eqz(m.ruri.host, "[2001:db8::10:5070]"));
	free((void *)(uintptr_t)s.p);

	s = load("port-unambiguous");
	assert_int_equal(verdict(s), OK);
	assert_true(m.ruri.port == 5070 && span_eqz(m.ruri.host, "[2001:db8::10]"));
	free((void *)(uintptr_t)s.p);

	s = load("novelsc");
	assert_int_equal(verdict(s), OK);
	assert_int_equal(m.ruri.scheme, SIP_SCHEME_OTHER);
	free((void *)(uintptr_t)s.p);
}

static void every_truncation_is_safe(void **state)
{
	(void)state;
	for (size_t i = 0; i < N; i++) {
		struct span s = load(table[i].vector);
		for (size_t n = 1; n < s.n; n++) {
			char *p = malloc(n);
			assert_non_null(p);
			memcpy(p, s.p, n);
			if (sip_parse(&m, span_mem(p, n), &err) < 0)
				assert_true(err.offset <= n);
			free(p);
		}
		free((void *)(uintptr_t)s.p);
	}
}

static const struct test_case cases[] = {
	CASE(every_vector_has_its_verdict, "R19"),
	CASE(live_table_agrees, "R19"),
	CASE(values_are_read_right, "R19"),
	CASE(every_truncation_is_safe, "R19"),
};
TEST_MAIN("torture", cases)
