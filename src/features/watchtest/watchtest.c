/* features/watchtest: the package x-strowger-test, for tests. Layer 4, pure; cell thread. README.md says what it does. */
#include "pbx/feature.h"

enum { NAMES = 64, MAX_BYTES = 16000 };

struct name {
	char name[64];
	uint32_t number, bytes;
};
struct watchtest {
	struct name names[NAMES];
	uint32_t n;
};

static struct name *name_find(struct watchtest *w, struct span name, bool make)
{
	for (uint32_t i = 0; i < w->n; i++)
		if (span_eqz(name, w->names[i].name))
			return &w->names[i];
	if (!make || w->n == NAMES || !name.n || !span_copyz(name, w->names[w->n].name, sizeof w->names[0].name))
		return NULL;
	return &w->names[w->n++];
}

static bool enabled(const struct cell *c)
{
	const struct site *s = feature_site(c);
	return s && site_settings_of(s)->test_events;
}

static struct watch_verdict authorise(struct cell *c, const struct site_extension *subscriber, struct span resource)
{
	(void)c;
	(void)subscriber;
	return (struct watch_verdict){.status = span_starts(resource, SPAN_LIT("secret")) ? 403 : 0,
				      .pending = span_starts(resource, SPAN_LIT("pending"))};
}

static int render(struct cell *c, void *state, const struct event_ask *ask, struct event_body *out)
{
	const struct name *n = name_find(state, ask->resource, false);
	uint32_t bytes = n ? n->bytes : 0;
	(void)c;
	text_fmt(&out->text, "version=%u number=%u state=%s\r\n", ask->version, n ? n->number : 0u, ask->full ? "full" : "partial");
	while (ask->full && out->text.n < bytes)
		text_putc(&out->text, 'x');
	out->seen = (n ? n->number : 0u) + 1u;
	return 0;
}

static uint16_t verb(struct cell *c, void *state, struct span args, struct text *json)
{
	uint64_t bytes = 0;
	struct span what = span_cut(&args, ' '), name = span_cut(&args, ' ');
	if ((span_eqz(what, "allow") || span_eqz(what, "reject")) && enabled(c)) {
		text_fmt(json, "{\"decided\":%u}", watch_decide(c, "x-strowger-test", name, args, span_eqz(what, "allow")));
		return 200;
	}
	struct name *n = span_eqz(what, "set") && span_u64(args, MAX_BYTES, &bytes) == 0 ? name_find(state, name, true) : NULL;
	if (!n || !enabled(c)) {
		text_json(json, SPAN_LIT("watchtest set NAME BYTES, or allow or reject NAME EXTENSION, while the site setting test_events is on"));
		return 400;
	}
	n->bytes = (uint32_t)bytes;
	n->number++;
	watch_changed(c, "x-strowger-test", name);
	text_fmt(json, "{\"number\":%u}", n->number);
	return 200;
}

static const char *const types[] = {"text/plain", "application/x-strowger-test", NULL};
static const struct watch_package packages[] = {{
	.event = {.name = "x-strowger-test", .types = types, .min_expires_s = 5, .default_expires_s = 60, .max_expires_s = 7200, .partial = true},
	.enabled = enabled, .authorise = authorise, .render = render,
}};

extern const struct feature feature_watchtest;
const struct feature feature_watchtest = {
	.name = "watchtest", .state_bytes = sizeof(struct watchtest), .packages = packages, .n_packages = 1, .verb = verb,
};
