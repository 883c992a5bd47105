/* A registered phone in a call hears what it is sent. Input: records of one byte kind, two bytes length, then bytes:
 * kind bit 0..1: 0 SIP, 1 RTP, 2 time passes, 3 a person's verb; SIP may use %C %T %F %B for the call's identifiers. */
#include "vphone/rig.h"

static const char *const verbs[] = {"answer", "hangup", "hold", "resume", "reject", "reboot", "offhook", "onhook"};

static void expand(struct rig *r, struct span in, struct text *t)
{
	struct sip_msg m;
	struct sip_error err;
	bool known = r->p[0].last_invite[0] && sip_parse(&m, span_z(r->p[0].last_invite), &err) == 0;
	for (size_t i = 0; i < in.n; i++) {
		char c = in.p[i], n = i + 1 < in.n ? in.p[i + 1] : 0;
		if (c != '%' || !known || !strchr("CTFB", n) || n == 0) {
			text_putc(t, c);
			continue;
		}
		text_put(t, n == 'C' ? m.call_id : n == 'T' ? SPAN_LIT("srv") : n == 'F' ? m.from.tag : m.via.branch);
		i++;
	}
}

static void record(struct rig *r, unsigned kind, struct span body)
{
	char buf[8192];
	struct text t = TEXT_ARRAY(buf);
	struct vphone_in in = {.kind = VP_IN_SIP, .flow = {.remote = r->server, .local = r->p[0].ip}};
	switch (kind & 3) {
	case 0:
		expand(r, body, &t);
		in.bytes = text_span(&t);
		break;
	case 1:
		in = (struct vphone_in){.kind = VP_IN_RTP, .rtp_port = (uint16_t)(2222 + 2 * (kind >> 2 & 3)), .rtp_from = r->server, .bytes = body};
		break;
	case 2: rig_run_ms(r, 1 << (kind >> 2 & 15)); return;
	default: rig_do(r, 0, verbs[kind >> 2 & 7], ""); return;
	}
	vphone_step(r->p[0].v, &in, r->now_us, &r->p[0].sink);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rig *r = rig_new();
	rig_phone(r, "VVX410", "0004f2aabb01", "201");
	rig_file(r, "0004f2aabb01.cfg", "<APPLICATION CONFIG_FILES=\"201.cfg\"/>");
	rig_file(r, "201.cfg", "<a reg.1.address=\"201\" reg.1.server.1.address=\"10.0.0.1\"/>");
	rig_power(r, 0);
	rig_run_ms(r, 3000);
	rig_do(r, 0, "dial", "202");
	size_t at = 0;
	for (int guard = 0; at + 3 <= size && guard < 64 && r->queued < RIG_QUEUE / 2; guard++) {
		size_t n = (size_t)data[at + 1] << 8 | data[at + 2];
		unsigned kind = data[at];
		at += 3;
		if (n > size - at)
			n = size - at;
		record(r, kind, span_mem(data + at, n));
		at += n;
	}
	rig_free(r);
	return 0;
}
