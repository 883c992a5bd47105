#include "tests/harness/harness.h"

#include <stdio.h>

#include "base/rng.h"
#include "gen/entities.h"

static void defaults_are_valid_but_for_the_key(void **state)
{
	(void)state;
	struct field_error e;
	struct site_settings st;
	struct extension x;
	site_settings_defaults(&st);
	assert_int_equal(site_settings_validate(&st, &e), 0);
	extension_defaults(&x);
	assert_int_equal(extension_validate(&x, &e), -1);
	assert_string_equal(e.field, "number");
	assert_int_equal(extension_set(&x, SPAN_LIT("number"), SPAN_LIT("201"), &e), 0);
	assert_int_equal(extension_validate(&x, &e), 0);
	assert_true(x.enabled && x.sip_device);
}

/* Each wrong value is refused by set and, where it can be in a row at all, by validate; the row stays. */
static void wrong_values_are_refused(void **state)
{
	(void)state;
	static const struct { const char *field, *value; } bad[] = {
		{"number", ""}, {"number", "2"}, {"number", "20a"}, {"number", "12345678"}, {"enabled", "maybe"},
		{"media", "sideways"}, {"ring_s", "601"}, {"ring_s", "-1"}, {"ring_s", "4x"}, {"ring_s", ""},
		{"name", "a\nb"}, {"pin_sealed", "00"}, {"nothing", "1"}, {"revision", "1"}, {"", ""},
		{"name", "0123456789012345678901234567890123456789012345678901234567890123"},
	};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct extension x, was;
		struct field_error e = {.field = ""};
		extension_defaults(&x);
		strcpy(x.number, "201");
		was = x;
		assert_int_equal(extension_set(&x, span_z(bad[i].field), span_z(bad[i].value), &e), -1);
		assert_memory_equal(&x, &was, sizeof x);
		assert_true(e.what[0] && e.mend[0]);
	}
	static const struct { const char *field, *value; int want; } site[] = {
		{"identity", "pbx.example.com", 0}, {"identity", "192.0.2.1", 0}, {"identity", "http://x", -1}, {"identity", "a..b", -1},
		{"identity", "", 0}, {"codecs", "PCMU", 0}, {"codecs", "PCMU,PCMU", -1}, {"codecs", "OPUS", -1}, {"codecs", "PCMU,", -1},
		{"codecs", "G729,G722", 0}, {"realm", "r", 0},
	};
	for (size_t i = 0; i < sizeof site / sizeof site[0]; i++) {
		struct site_settings st;
		struct field_error e;
		site_settings_defaults(&st);
		assert_int_equal(site_settings_set(&st, span_z(site[i].field), span_z(site[i].value), &e), site[i].want);
		assert_int_equal(site_settings_validate(&st, &e), 0);
	}
}

static void sealed_fields_never_show(void **state)
{
	(void)state;
	struct extension x;
	char b[2048], v[64];
	struct text t = TEXT_ARRAY(b), g = TEXT_ARRAY(v);
	extension_defaults(&x);
	strcpy(x.number, "201");
	strcpy(x.name, "An \"n\"");
	strcpy(x.pin_sealed, "c0ffee");
	extension_json_members(&x, &t);
	assert_true(text_end(&t));
	assert_null(strstr(b, "c0ffee"));
	assert_null(strstr(b, "pin_sealed"));
	assert_non_null(strstr(b, "\"name\":\"An \\\"n\\\"\""));
	assert_non_null(strstr(b, "\"media\":\"site\""));
	assert_non_null(strstr(b, "\"enabled\":true"));
	assert_int_equal(extension_get(&x, SPAN_LIT("pin_sealed"), &g), -1);
	assert_int_equal(g.n, 0);
}

/* What get wrote, set takes, and it is the same row. */
static void text_round_trip(void **state)
{
	(void)state;
	struct rng r = rng_seed(5, 5);
	for (int k = 0; k < 2000; k++) {
		struct extension a, b;
		struct field_error e;
		extension_defaults(&a);
		extension_defaults(&b);
		snprintf(a.number, sizeof a.number, "%u", 10 + (unsigned)rng_below(&r, 9999990));
		for (uint64_t i = 0, n = rng_below(&r, 63); i < n; i++)
			a.name[i] = (char)(' ' + rng_below(&r, 95));
		a.enabled = rng_below(&r, 2);
		a.media = (enum extension_media)rng_below(&r, 3);
		a.ring_s = (int32_t)rng_below(&r, 601);
		for (uint32_t f = 0; f < extension_desc.n_fields; f++) {
			char v[256];
			struct text t = TEXT_ARRAY(v);
			struct span name = span_z(extension_desc.fields[f].name);
			if (extension_get(&a, name, &t) == 0)
				assert_int_equal(extension_set(&b, name, text_span(&t), &e), 0);
		}
		assert_memory_equal(&a, &b, sizeof a);
	}
}

static const struct test_case cases[] = {
	CASE(defaults_are_valid_but_for_the_key, "G107"),
	CASE(wrong_values_are_refused, ""),
	CASE(sealed_fields_never_show, "G112"),
	CASE(text_round_trip, ""),
};
TEST_MAIN("gen/fields", cases)
