/* G110: the list of phones: number, status, type, model, firmware. Registration state is asked from the cell. */
#include "service/api.h"

#include <jansson.h>
#include <stdlib.h>

/* All registrations of the cell as one JSON array, or NULL. */
static json_t *registrations(struct service *s)
{
	json_t *all = json_array();
	uint64_t cursor = 0;
	for (int pages = 0; pages < 1000; pages++) {
		char *json = NULL;
		size_t n = 0;
		uint64_t next = 0;
		int status = s->ports.ask(s->ports.ctx, CELL_Q_REGISTRATIONS, cursor, 500, SPAN_NONE, &json, &n, &next);
		json_t *page = status == 200 && n ? json_loadb(json, n, 0, NULL) : NULL;
		free(json);
		if (json_is_array(page))
			json_array_extend(all, page);
		json_decref(page);
		if (!next)
			break;
		cursor = next;
	}
	return all;
}

/* Registrations by device, sorted: a site has thousands of both. */
struct by_device {
	uint64_t device;
	const json_t *r;
};

static int cmp(const void *a, const void *b)
{
	const struct by_device *x = a, *y = b;
	return (x->device > y->device) - (x->device < y->device);
}

static struct by_device *sorted(const json_t *all, size_t *n)
{
	size_t i;
	json_t *r;
	struct by_device *v = calloc(json_array_size(all) + 1, sizeof *v);
	*n = 0;
	if (!v)
		return NULL;
	json_array_foreach(all, i, r)
		v[(*n)++] = (struct by_device){(uint64_t)json_integer_value(json_object_get(r, "device")), r};
	qsort(v, *n, sizeof *v, cmp);
	return v;
}

static const json_t *find(const struct by_device *v, size_t n, uint64_t device)
{
	const struct by_device key = {device, NULL}, *hit = v ? bsearch(&key, v, n, sizeof *v, cmp) : NULL;
	return hit ? hit->r : NULL;
}

void api_phones(struct service *s, const struct http_request *rq, struct http_response *rs)
{
	struct site *site = s->ports.site(s->ports.ctx);
	json_t *all = registrations(s);
	size_t n = 0;
	struct by_device *by = sorted(all, &n);
	struct api_out o = {0};
	uint64_t cursor = 0;
	const struct site_device *d;
	(void)rq;
	api_grow(&o, 8);
	text_putc(&o.t, '[');
	for (bool first = true; (d = site_device_next(site, &cursor)); first = false) {
		const json_t *r = find(by, n, d->row.id);
		const char *from = json_string_value(json_object_get(r, "source"));
		api_grow(&o, 2048);
		text_put(&o.t, first ? SPAN_LIT("{") : SPAN_LIT(",{"));
		text_lit(&o.t, "\"number\":");
		text_json(&o.t, span_z(d->row.extension));
		text_fmt(&o.t, ",\"status\":\"%s\",\"type\":\"%s\",\"model\":", r ? "ACTIVE" : "INACTIVE",
			 d->row.kind == DEVICE_KIND_POLYCOM ? "Poly" : "SIP");
		text_json(&o.t, span_z(d->row.model));
		text_lit(&o.t, ",\"firmware\":");
		text_json(&o.t, span_z(d->row.firmware));
		text_lit(&o.t, ",\"mac\":");
		text_json(&o.t, span_z(d->row.mac));
		text_lit(&o.t, ",\"address\":");
		text_json(&o.t, span_z(from));
		/* the last registration: UTC, milliseconds since 1970; 0: not there now */
		text_fmt(&o.t, ",\"last_seen_ms\":%lld", (long long)json_integer_value(json_object_get(r, "registered_ms")));
		text_fmt(&o.t, ",\"id\":%llu}", (unsigned long long)d->row.id);
	}
	api_grow(&o, 8);
	text_lit(&o.t, "]\n");
	api_send(rs, 200, &o);
	free(by);
	json_decref(all);
	site_unref(site);
}
