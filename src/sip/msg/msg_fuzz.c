/* The message parser with all that walks its result, and the framer against it: what it cuts, both see alike. */
#include "sip/msg/build.h"
#include "sip/msg/frame.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void within(struct span all, struct span s)
{
	if (s.n && (s.p < all.p || s.p + s.n > all.p + all.n))
		abort();
}

static void walk(const struct sip_msg *m, struct span all)
{
	char buf[256];
	struct sip_nameaddr a;
	struct sip_contact_iter it = {0};
	struct span item;
	int64_t sum = sip_expires(m);
	within(all, m->raw);
	within(all, m->body);
	within(all, m->via.branch);
	for (int i = 0; i < m->n_hdr; i++) {
		struct span rest = m->hdr[i].value;
		within(all, m->hdr[i].name);
		within(all, rest);
		while (sip_list_next(&rest, &item)) {
			within(all, item);
			if (sip_nameaddr_parse(item, &a) == 0)
				sum += (int64_t)sip_display(&a, buf, sizeof buf).n;
		}
	}
	while (sip_contact_next(m, SIP_H_CONTACT, &it, &a) == 1)
		if (!a.star)
			within(all, a.uri.all);
	if (sum < -2)
		abort();
}

/* Whatever came, the answer to it is a message of ours that parses and brings no line of the sender's making. */
static void answer(const struct sip_msg *m, bool whole)
{
	static char out[3 * SIP_MAX_MESSAGE];
	static struct sip_msg back;
	struct sip_error err;
	struct sip_flow f = {.transport = SIP_UDP, .remote = {.family = 4, .port = 5060, .ip = {192, 0, 2, 1}}};
	struct sip_build b = {TEXT_ARRAY(out)};
	sip_reply_begin(&b, m, &f, 400, NULL, SPAN_LIT("ours"));
	if (!sip_finish(&b, NULL, SPAN_NONE))
		return;
	if (whole && b.t.n <= SIP_MAX_MESSAGE && sip_parse(&back, text_span(&b.t), &err) < 0)
		abort();
	if (whole && b.t.n <= SIP_MAX_MESSAGE && (back.status != 400 || back.to.tag.n == 0 || back.cseq != m->cseq))
		abort();
}

static void framed(struct span all)
{
	static struct sip_msg m;
	struct sip_error err;
	struct sip_framer f = {0}, g = {0};
	size_t used, used_by_steps = 0;
	enum sip_frame_kind k = sip_frame(&f, all, SIP_MAX_MESSAGE, &used), by_steps = SIP_FRAME_MORE;
	if (used > all.n)
		abort();
	for (size_t n = 0; n < all.n && by_steps == SIP_FRAME_MORE;) {
		n = n + 1 + n / 4 < all.n ? n + 1 + n / 4 : all.n;
		by_steps = sip_frame(&g, span_sub(all, 0, n), SIP_MAX_MESSAGE, &used_by_steps);
	}
	if (k == SIP_FRAME_MESSAGE && (by_steps != k || used != used_by_steps))
		abort();
	if (k == SIP_FRAME_MESSAGE && sip_parse(&m, span_sub(all, 0, used), &err) == 0 && m.raw.n != used)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct sip_msg m;
	struct sip_error err;
	struct span all = span_mem(data, size);
	if (sip_parse(&m, all, &err) == 0) {
		walk(&m, all);
		if (m.is_request)
			answer(&m, true);
	} else if (err.offset > size) {
		abort();
	} else if (err.answerable) {
		answer(&m, false);
	}
	framed(all);
	return 0;
}
