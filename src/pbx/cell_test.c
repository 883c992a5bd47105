#include "pbx/phone_test.h"

static void basic_call(void **state)
{
	(void)state;
	struct world *w = w_new(16);
	struct phone a, b;
	struct side sa, sb;
	phone_init(&a, 1);
	phone_init(&b, 2);
	register_phone(w, &a);
	register_phone(w, &b);
	assert_int_equal(cell_counts(w->cell).bindings, 2);
	connect_call(w, &sa, &a, &sb, &b);
	w_run(w, 10 * SEC);
	hang_up(w, &sa, &sb);
	const struct cdr_row *r = cdr_of(w, 1, 0);
	assert_int_equal(r->talk_ms, 10000);
	assert_int_equal(r->ring_ms, 2000);
	assert_int_equal(r->cause, CDR_NORMAL);
	assert_int_equal(r->ended_by, 1);
	assert_string_equal(r->codec, "G722");
	assert_string_equal(r->device, "0004f2000001");
	assert_string_equal(cdr_of(w, 1, 1)->extension, "202");
	assert_int_equal(cdr_of(w, 1, 1)->ended_by, 2);
	assert_int_equal(cdr_of(w, 1, 1)->media.rx_packets, 50);
	w_close(w);
}

static const struct test_case cases[] = {
	CASE(basic_call, "G4"),
};
TEST_MAIN("pbx_cell", cases)
