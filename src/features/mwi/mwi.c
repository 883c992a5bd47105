/* features/mwi: the message lamp (RFC 3842, package message-summary). Layer 4, pure; cell thread.
 * Until there is voicemail the counts are what an administrator says: `strowger feature run mwi set 201 2 1`. They are not kept
 * over a restart. Voicemail will set them in its place. */
#include "base/map.h"
#include "base/pool.h"
#include "pbx/feature.h"

enum { MAX_BOXES = 20000, MAX_COUNT = 9999 };

struct box {
	char number[16];
	uint16_t fresh, old; /* messages */
};

struct mwi {
	struct map boxes;
	struct pool pool;
	bool ready;
};

static const struct box *box_find(const struct mwi *m, struct span number)
{
	return m->ready && number.n ? map_get(&m->boxes, number) : NULL;
}

static struct box *box_make(struct mwi *m, struct span number)
{
	if (!m->ready) {
		map_init(&m->boxes, (struct hash_key){1, 2}); /* numbers are the site's own */
		pool_init(&m->pool, sizeof(struct box), MAX_BOXES);
		m->ready = true;
	}
	handle h;
	struct box *b = map_get(&m->boxes, number);
	if (b)
		return b;
	b = pool_new(&m->pool, &h);
	if (!b)
		return NULL;
	if (span_copyz(number, b->number, sizeof b->number) && !map_put(&m->boxes, span_z(b->number), b))
		return b;
	pool_delete(&m->pool, h);
	return NULL;
}

static void free_state(struct cell *c, void *state)
{
	struct mwi *m = state;
	(void)c;
	if (!m->ready)
		return;
	map_destroy(&m->boxes);
	pool_destroy(&m->pool);
}

/* A person's messages are that person's affair. */
static struct watch_verdict authorise(struct cell *c, const struct site_extension *subscriber, struct span resource)
{
	(void)c;
	return (struct watch_verdict){.status = span_eqz(resource, subscriber->row.number) ? 0 : 403};
}

static int render(struct cell *c, void *state, const struct event_ask *ask, struct event_body *out)
{
	const struct box *b = box_find(state, ask->resource);
	const struct site *site = feature_site(c);
	struct text *t = &out->text;
	text_z(t, b && b->fresh ? "Messages-Waiting: yes\r\n" : "Messages-Waiting: no\r\n");
	text_lit(t, "Message-Account: sip:");
	sip_escape_user(t, ask->resource);
	text_putc(t, '@');
	text_z(t, site && site_settings_of(site)->identity[0] ? site_settings_of(site)->identity : "voicemail.invalid");
	text_fmt(t, "\r\nVoice-Message: %u/%u (0/0)\r\n", b ? b->fresh : 0u, b ? b->old : 0u);
	out->seen = 1;
	return 0;
}

/* "set NUMBER NEW OLD" */
static uint16_t verb(struct cell *c, void *state, struct span args, struct text *json)
{
	uint64_t fresh, old;
	struct span what = span_cut(&args, ' '), number = span_cut(&args, ' '), n_new = span_cut(&args, ' '), n_old = span_cut(&args, ' ');
	const struct site *site = feature_site(c);
	if (!span_eqz(what, "set") || span_u64(n_new, MAX_COUNT, &fresh) != 0 || span_u64(n_old, MAX_COUNT, &old) != 0 || args.p) {
		text_json(json, SPAN_LIT("mwi set EXTENSION NEW OLD: two counts of 0 to 9999"));
		return 400;
	}
	if (!site || !number.n || !site_extension_find(site, number)) {
		text_json(json, SPAN_LIT("no such extension"));
		return 404;
	}
	struct box *b = box_make(state, number);
	if (!b) {
		text_json(json, SPAN_LIT("no room for another mailbox"));
		return 503;
	}
	bool changed = b->fresh != fresh || b->old != old;
	b->fresh = (uint16_t)fresh;
	b->old = (uint16_t)old;
	if (changed)
		watch_changed(c, "message-summary", number);
	text_fmt(json, "{\"extension\":\"%s\",\"new\":%u,\"old\":%u}", b->number, b->fresh, b->old);
	return 200;
}

static const char *const types[] = {"application/simple-message-summary", NULL};
static const struct watch_package packages[] = {{
	.event = {.name = "message-summary", .types = types, .min_expires_s = 60, .default_expires_s = 3600, .max_expires_s = 86400},
	.authorise = authorise,
	.render = render,
}};

extern const struct feature feature_mwi;
const struct feature feature_mwi = {
	.name = "mwi", .state_bytes = sizeof(struct mwi), .free_state = free_state, .packages = packages, .n_packages = 1, .verb = verb,
};
