/* Ringing an extension: every binding of every device of it at once, one leg each. */
#include "pbx/cell_internal.h"

static void name_device(const struct cell *c, const struct binding *b, struct text *t)
{
	const struct site_device *d = site_device_by_id(c->site, b->device_id);
	if (d && d->row.mac[0]) {
		text_z(t, d->row.mac);
	} else {
		text_lit(t, "device-");
		text_u64(t, b->device_id);
	}
}

/* A call whose voice goes direct may be given to a party whose voice may not. */
static bool needs_slot(const struct cell *c, const struct call *k, const struct leg *l)
{
	const struct site_extension *e = k->direct && k->referring ? site_extension_find(c->site, span_z(l->ext)) : NULL;
	return !k->direct || (e && !call_direct_wanted(c, e));
}

/* 0, or the status that tells why this branch could not be tried. */
static uint16_t ring_one(struct cell *c, struct call *k, const struct binding *b)
{
	struct leg *a = k->referring ? k->refer_kept : k->caller, *l = leg_new(c, k, false);
	char device[32];
	struct text dev = TEXT_ARRAY(device);
	struct sdp_media open;
	struct sdp s;
	if (!l)
		return 503;
	memcpy(l->ext, b->aor->number, sizeof l->ext);
	if (needs_slot(c, k, l)) {
		l->slot = slot_draw(c, l, a->slot);
		if (l->slot == MEDIA_NO_SLOT)
			goto out;
	}
	const struct block *says = k->referring ? &a->remote_sdp : &a->wanted_sdp;
	const struct sdp_media *m = says->n ? plan_parse(c, block_span(says), &s, NULL) : NULL;
	m = k->referring ? plan_opened(m, &open) : m;
	if (!plan_offer(c, l, m) || leg_invite(c, l, b))
		goto out;
	name_device(c, b, &dev);
	if (cdr_open(c, l, text_span(&dev)))
		return 0;
	c->noted.limits_reached++;
	leg_log(c, l, LOG_ERROR, "limit.reached", LOG_Z("what", "records"));
	return 0; /* it rings without a record rather than not at all */
out:
	c->noted.limits_reached++;
	leg_log(c, l, LOG_ERROR, "limit.reached", LOG_Z("what", "branches"));
	leg_end(c, l, CDR_CONGESTION, 503, 3);
	leg_gone(c, l);
	return 503;
}

static int64_t ring_time(const struct cell *c, const struct site_extension *ext)
{
	if (c->o.ring_timeout_us)
		return c->o.ring_timeout_us;
	return (int64_t)(ext->row.ring_s ? ext->row.ring_s : c->settings->ring_s) * SECOND_US;
}

/* Of a phone's flows only one rings (RFC 5626 5.3): one whose connection is there, the newest of these. */
static bool better(const struct binding *x, const struct binding *y)
{
	bool x_up = x->flow.conn || x->flow.transport == SIP_UDP, y_up = y->flow.conn || y->flow.transport == SIP_UDP;
	int64_t x_at = x->expires_us - x->granted_us, y_at = y->expires_us - y->granted_us;
	return x_up != y_up ? x_up : x_at != y_at ? x_at > y_at : x->seq > y->seq;
}

static bool is_best_flow(const struct binding *b)
{
	for (const struct binding *x = binding_outbound(b) ? b->aor->first : NULL; x; x = x->next)
		if (x != b && binding_outbound(x) && span_eq(binding_text(x, BIND_INSTANCE), binding_text(b, BIND_INSTANCE)) && better(x, b))
			return false;
	return true;
}

void fork_next_flow(struct cell *c, struct leg *l)
{
	struct aor *aor = aor_find(c, span_z(l->ext));
	struct binding *failed = NULL;
	const struct call *k = l->call;
	for (struct binding *b = aor ? aor->first : NULL; b && !failed; b = b->next)
		if (b->device_id == l->device_id && binding_outbound(b) && span_eq(binding_text(b, BIND_CONTACT), block_span(&l->contact)) &&
		    sip_flow_same(&b->flow, &l->flow))
			failed = b;
	if (!failed)
		return;
	bool wanted = k->referring || (k->caller && !k->caller->ended && !k->winner);
	binding_drop(c, failed, true);
	aor = aor_find(c, span_z(l->ext)); /* gone with its last */
	for (struct binding *b = wanted && aor ? aor->first : NULL; b; b = b->next)
		if (b->device_id == l->device_id && binding_outbound(b) && is_best_flow(b)) {
			(void)ring_one(c, l->call, b);
			return;
		}
}

/* 0, or the status that tells why nobody rings. `but`: the device that is not rung. */
static uint16_t ring_all(struct cell *c, struct call *k, const struct site_extension *ext, uint64_t but)
{
	const struct aor *aor = aor_find(c, span_z(ext->row.number));
	uint32_t rung = 0, skipped = 0;
	uint16_t fault = 0;
	for (const struct binding *b = aor ? aor->first : NULL; b; b = b->next) {
		if (b->device_id == but) { /* who calls its own number does not ring itself */
			skipped++;
			continue;
		}
		if (!is_best_flow(b))
			continue;
		uint16_t r = ring_one(c, k, b);
		fault = r ? r : fault;
		rung += r == 0;
	}
	if (rung)
		wheel_set(&c->wheel, &k->ring, c->now_us + ring_time(c, ext));
	return rung ? 0 : fault ? 503 : skipped ? 486 : 480;
}

void fork_ring(struct cell *c, struct call *k, const struct site_extension *ext)
{
	uint16_t fault = ring_all(c, k, ext, k->caller->device_id);
	if (fault)
		call_refuse(c, k, fault, cause_of(fault));
}

uint16_t fork_transfer(struct cell *c, struct call *k, const struct site_extension *ext, struct leg *kept)
{
	return ring_all(c, k, ext, kept->device_id);
}
