#include "edge/admit.h"
#include "edge/limits.h"
#include "base/text.h"
#include "harness/harness.h"

#define S INT64_C(1000000)
#define reg SPAN_LIT("REGISTER sip:10.0.0.1 SIP/2.0\r\n")
#define help SPAN_LIT("INVITE sip:911@10.0.0.1 SIP/2.0\r\n")

static struct addr ip(uint8_t a, uint8_t b, uint8_t c, uint8_t d)
{
	return (struct addr){.ip = {a, b, c, d}, .port = 5060, .family = 4};
}

static struct admit *fresh(void)
{
	struct admit *a = admit_new((struct hash_key){1, 2});
	assert_non_null(a);
	admit_lists(a, SPAN_LIT("10.9.0.0/16"), SPAN_LIT("10.8.0.0/16"), SPAN_LIT("911, 112"));
	return a;
}

static uint32_t passes(struct admit *a, const struct addr *from, struct span bytes, uint32_t n, int64_t from_us, int64_t to_us)
{
	uint32_t ok = 0;
	for (uint32_t i = 0; i < n; i++)
		ok += admit_check(a, from, bytes, from_us + (to_us - from_us) * i / n) == ADMIT_PASS;
	return ok;
}

/* 20,000 a second from one source: its share passes, and nobody else feels it. */
static void one_source_floods(void **state)
{
	(void)state;
	struct admit *a = fresh();
	struct addr bad = ip(10, 0, 0, 1), phone = ip(10, 0, 0, 2), other = ip(10, 0, 0, 3);
	assert_true(admit_known(a, &phone, true));
	uint32_t ok = passes(a, &bad, reg, 100000, S, 6 * S);
	assert_true(ok >= ADMIT_SOURCE_PER_S * 4 && ok <= ADMIT_SOURCE_PER_S * 5 + ADMIT_SOURCE_BURST + 1);
	assert_int_equal(passes(a, &phone, reg, 100000, S, 6 * S), 100000); /* as fast as it likes: ten thousand may be behind one NAT */
	assert_int_equal(passes(a, &other, reg, 10, 6 * S, 7 * S), 10);
	assert_true(admit_known(a, &phone, false));
	assert_true(passes(a, &phone, reg, 100000, 6 * S, 7 * S) < 1000);
	admit_free(a);
}

/* A hundred thousand sources: all together get what strangers have, less while the switch is late; phones feel nothing. */
static void many_sources_flood(void **state)
{
	(void)state;
	struct admit *a = fresh();
	struct addr phone = ip(172, 16, 0, 2);
	assert_true(admit_known(a, &phone, true));
	uint32_t ok = 0;
	for (uint32_t i = 0; i < 100000; i++) {
		struct addr from = ip(11, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i);
		ok += admit_check(a, &from, reg, S + i * 10) == ADMIT_PASS; /* in one second */
	}
	assert_true(ok > 1000 && ok <= ADMIT_STRANGERS_PER_S * 12 / 10);
	for (int64_t t = 2 * S; t < 4 * S; t += 10000)
		admit_late(a, 100000, t);
	assert_int_equal(admit_counts(a).stranger_rate, ADMIT_STRANGERS_MIN);
	admit_late(a, 300000, 4 * S);
	struct addr from = ip(11, 200, 0, 1);
	assert_int_equal(admit_check(a, &from, reg, 4 * S), ADMIT_LOAD);
	assert_int_equal(admit_check(a, &from, help, 4 * S), ADMIT_PASS);
	assert_int_equal(admit_check(a, &phone, reg, 4 * S), ADMIT_PASS);
	assert_int_equal(admit_check(a, &from, reg, 4 * S + S / 5), ADMIT_PASS); /* the mark is of the turn before, not of a pause before */
	for (int64_t t = 4 * S; t < 20 * S; t += 10000)
		admit_late(a, 0, t);
	assert_int_equal(admit_counts(a).stranger_rate, ADMIT_STRANGERS_PER_S);
	assert_int_equal(admit_check(a, &from, reg, 20 * S), ADMIT_PASS);
	admit_free(a);
}

static void help_passes_always(void **state)
{
	(void)state;
	struct admit *a = fresh();
	struct addr banned = ip(10, 0, 0, 1), listed = ip(10, 8, 1, 1), friend = ip(10, 9, 1, 1);
	admit_blocked(a, &banned, 100 * S);
	assert_int_equal(admit_check(a, &banned, reg, S), ADMIT_BLOCKED);
	assert_int_equal(admit_check(a, &listed, reg, S), ADMIT_BLOCKED);
	assert_int_equal(admit_check(a, &banned, help, S), ADMIT_PASS);
	assert_int_equal(admit_check(a, &listed, SPAN_LIT("INVITE sips:112;phone-context=x@10.0.0.1 SIP/2.0"), S), ADMIT_PASS);
	static const char *const no[] = {"INVITE sip:9111@10.0.0.1 SIP/2.0", "INVITE sip:91@10.0.0.1 SIP/2.0", "OPTIONS sip:911@10.0.0.1 SIP/2.0", "INVITE sip:911",
					 "INVITE sip", "INVITE tel:911 SIP/2.0\r\n"};
	for (size_t i = 0; i < sizeof no / sizeof no[0]; i++)
		assert_int_equal(admit_check(a, &banned, span_z(no[i]), S), ADMIT_BLOCKED);
	assert_int_equal(passes(a, &friend, reg, 5000, S, S + S / 10), 5000);
	assert_int_equal(admit_check(a, &banned, reg, 100 * S), ADMIT_PASS);
	admit_blocked(a, &banned, 300 * S);
	admit_blocked(a, &banned, 0);
	assert_int_equal(admit_check(a, &banned, reg, 101 * S), ADMIT_PASS);
	/* and it is no way round for a flood */
	assert_true(passes(a, &listed, help, 50000, 200 * S, 201 * S) <= 2 * ADMIT_EMERGENCIES_PER_S + 1);
	admit_free(a);
}

static const struct test_case cases[] = {CASE(one_source_floods, "R22"), CASE(many_sources_flood, "R22 R23 R24"), CASE(help_passes_always, "R24")};
TEST_MAIN("admit", cases)
