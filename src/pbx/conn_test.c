#include "pbx/phone_test.h"

/* Two phones behind one connection, a third on another of the same bucket (numbers 4,096 apart): each close takes its own. */
static void a_closed_connection_takes_its_own(void **state)
{
	(void)state;
	struct phone p[3];
	struct side s;
	struct world *w = w_new(16);
	static const uint32_t conn[] = {7, 7, 7 + 4096};
	for (uint32_t i = 0; i < 3; i++) {
		phone_init(&p[i], (int)i + 1);
		p[i].flow.transport = SIP_TCP;
		p[i].flow.conn = conn[i];
		p[i].flow.remote.port = (uint16_t)(49152 + conn[i]);
		register_phone(w, &p[i]);
	}
	register_phone(w, &p[1]); /* again by the same one: it stands there once */
	struct cell_in in = {.kind = CELL_IN_FLOW_CLOSED, .u.sip.flow = p[0].flow};
	w_step(w, &in);
	assert_null(cell_check(w->cell));
	call(w, &s, &p[2], "201", "", SDP(&p[2])); /* its own is there still */
	p[0].flow.conn = 0;
	p[0].flow.remote.port = 5061;
	take_request(w, &p[0], SIP_INVITE);
	in.u.sip.flow = p[2].flow;
	w_step(w, &in);
	assert_null(cell_check(w->cell));
	w_run(w, 120 * (int64_t)SEC);
	w_close(w);
}

static const struct test_case cases[] = {
	CASE(a_closed_connection_takes_its_own, ""),
};
TEST_MAIN("conn", cases)
