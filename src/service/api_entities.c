/* The configuration over the API: extensions, devices, settings. Fields come from the schema; PINs and secrets are verbs. */
#include "service/api.h"

#include "base/assert.h"

#include <jansson.h>
#include <stdlib.h>

enum { PAGE_MAX = 1000 };

static void not_allowed(struct http_response *rs)
{
	api_error(rs, 405, "this method is not for this path", "method", "GET reads, POST adds to a collection, PATCH changes one, DELETE removes one");
}

static json_t *body_of(const struct http_request *rq, struct http_response *rs)
{
	json_error_t e;
	char what[256];
	json_t *v = rq->body.n ? json_loadb(rq->body.p, rq->body.n, JSON_REJECT_DUPLICATES, &e) : json_object();
	if (json_is_object(v))
		return v;
	struct text t = TEXT_ARRAY(what);
	if (v)
		text_lit(&t, "the body is not a JSON object");
	else
		text_fmt(&t, "the body is not JSON: line %d column %d: %s", e.line, e.column, e.text);
	(void)text_end(&t);
	json_decref(v);
	api_error(rs, 400, what, "body", "send one JSON object");
	return NULL;
}

/* Sets every member but those in `verbs` on the row. 0, or -1 answered. */
static int apply(const struct entity_desc *d, void *row, json_t *o, const char *const *verbs, struct http_response *rs)
{
	const char *key;
	json_t *v;
	json_object_foreach(o, key, v)
	{
		char number[32];
		struct field_error err;
		size_t k = 0;
		while (verbs[k] && strcmp(verbs[k], key) != 0)
			k++;
		if (verbs[k])
			continue;
		struct span text = json_is_string(v) ? span_mem(json_string_value(v), json_string_length(v))
				   : json_is_true(v) ? SPAN_LIT("true")
				   : json_is_false(v) ? SPAN_LIT("false") : SPAN_NONE;
		if (!json_is_string(v) && !json_is_boolean(v) && !json_is_integer(v)) {
			api_error(rs, 422, "is neither text nor whole number nor true or false", key, "send a plain value");
			return -1;
		}
		if (json_is_integer(v)) {
			struct text t = TEXT_ARRAY(number);
			text_i64(&t, json_integer_value(v));
			text = text_span(&t);
		}
		if (entity_set(d, row, span_z(key), text, &err) != 0) {
			api_error(rs, 422, err.what, err.field, err.mend);
			return -1;
		}
	}
	return 0;
}

bool api_read_body(const struct http_request *rq, const struct entity_desc *d, void *row, struct http_response *rs)
{
	static const char *const verbs[] = {"id", "revision", NULL};
	json_t *o = body_of(rq, rs);
	bool ok = o && apply(d, row, o, verbs, rs) == 0;
	json_decref(o);
	return ok;
}

static uint64_t base_revision(const struct http_request *rq, uint64_t current)
{
	struct span v = span_trim(rq->if_match);
	uint64_t n;
	if (v.n == 0 || span_eqz(v, "*"))
		return current;
	if (v.n >= 2 && v.p[0] == '"')
		v = span_sub(v, 1, v.n - 1);
	/* a tag that is none of ours fits no revision: the change is refused, not done unconditionally */
	return span_u64(v, UINT64_MAX - 2, &n) == 0 && n > 0 ? n : UINT64_MAX - 1;
}

/* What the request is, for Idempotency-Key: of whom, what for, with which body. */
static void name_once(const struct http_request *rq, struct site_change *c)
{
	unsigned char h[32];
	const struct span key[] = {span_z(rq->actor), SPAN_LIT("\n"), rq->idempotency_key}, what[] = {rq->path, SPAN_LIT("\n"), rq->body};
	struct text t = TEXT_ARRAY(c->once_key);
	crypto_sha256(h, key, COUNT_OF(key));
	text_hex(&t, h, sizeof h);
	(void)text_end(&t);
	t = TEXT_ARRAY(c->once_request);
	crypto_sha256(h, what, COUNT_OF(what));
	text_hex(&t, h, sizeof h);
	(void)text_end(&t);
}

bool api_commit(struct service *s, const struct http_request *rq, struct site_change *c, struct http_response *rs)
{
	if (rq->method == HTTP_POST && rq->idempotency_key.n && c->kind != CHANGE_TOKEN)
		name_once(rq, c);
	struct text t = TEXT_ARRAY(c->actor);
	text_z(&t, rq->actor);
	(void)text_end(&t);
	if (!rq->control)
		change_source(c, rq);
	switch (s->ports.change(s->ports.ctx, c)) {
	case CHANGE_OK: return true;
	case CHANGE_DONE_BEFORE: c->done_before = true; return true;
	case CHANGE_OTHER:
		api_error(rs, 422, "this key stood for another request", "Idempotency-Key", "take a new key for each thing that is to be done");
		return false;
	case CHANGE_CONFLICT:
		api_error(rs, 409, "it exists already, or was changed by someone else since it was read", "revision", "read it again and repeat the change");
		return false;
	case CHANGE_MISSING: api_error(rs, 404, "there is no such thing", "path", "list what there is"); return false;
	case CHANGE_STORE_FAILED:
		api_error(rs, 507, "the change could not be stored", "store", "free space on the disk or make the folder writable, then repeat the change; the log says what failed");
		return false;
	}
	return false;
}

/* G112, G113: 4 to 8 digits, not the extension, not one digit over and over, not a run. */
static const char *pin_weak(struct span pin, const char *number)
{
	bool same = true, up = true, down = true;
	if (pin.n < 4 || pin.n > 8)
		return "a PIN has 4 to 8 digits";
	for (size_t i = 0; i < pin.n; i++) {
		if (!ascii_digit(pin.p[i]))
			return "a PIN has digits only";
		if (i) {
			same = same && pin.p[i] == pin.p[i - 1];
			up = up && pin.p[i] == pin.p[i - 1] + 1;
			down = down && pin.p[i] == pin.p[i - 1] - 1;
		}
	}
	if (same || up || down)
		return "this PIN is too easy to guess";
	ptrdiff_t at = span_find(pin, span_z(number));
	return at >= 0 && pin.n - strlen(number) < 2 ? "this PIN is the extension's own number" : NULL;
}

static int set_pin(struct service *s, const struct site_settings *st, struct extension *e, json_t *v, struct http_response *rs)
{
	unsigned char nonce[12], both[48];
	struct digest_ha1 ha1;
	struct span pin = span_z(json_string_value(v));
	const char *weak = json_is_string(v) ? pin_weak(pin, e->number) : "a PIN is a text of digits";
	if (weak) {
		api_error(rs, 422, weak, "pin", "choose 4 to 8 digits that nobody guesses, such as 4071");
		return -1;
	}
	digest_ha1_make(&ha1, span_z(e->number), span_z(st->realm), pin);
	memcpy(both, ha1.md5, 16);
	memcpy(both + 16, ha1.sha256, 32);
	s->ports.random(s->ports.ctx, nonce, sizeof nonce);
	struct text t = TEXT_ARRAY(e->pin_sealed);
	if (seal(&s->key, "pin", span_mem(both, sizeof both), nonce, &t) != 0 || !text_end(&t)) {
		api_error(rs, 500, "the PIN could not be sealed", "pin", "report this");
		return -1;
	}
	return 0;
}

void api_tag(struct http_response *rs, uint64_t revision)
{
	char tag[32];
	struct text t = TEXT_ARRAY(tag);
	text_fmt(&t, "\"%llu\"", (unsigned long long)revision);
	http_header(rs, "ETag", text_span(&t));
}

/* A page of a list: where it begins, how much it may hold (0: all), and, when there is more, where the next one does. */
struct page {
	uint64_t cursor, limit, n;
};

static struct page page_of(const struct http_request *rq)
{
	uint64_t limit = api_query_u64(rq->query, "limit");
	return (struct page){api_query_u64(rq->query, "cursor"), limit > PAGE_MAX ? PAGE_MAX : limit, 0};
}

static bool page_full(const struct page *p)
{
	return p->limit && p->n == p->limit;
}

static void page_link(struct http_response *rs, const char *what, const struct page *p)
{
	char link[160];
	struct text t = TEXT_ARRAY(link);
	text_fmt(&t, "</api/v1/%s?cursor=%llu&limit=%llu>; rel=\"next\"", what, (unsigned long long)p->cursor, (unsigned long long)p->limit);
	http_header(rs, "Link", text_span(&t));
}

static void put_extension(struct api_out *o, const struct site_extension *e)
{
	api_grow(o, 2048);
	text_putc(&o->t, '{');
	entity_json_members(&extension_desc, &e->row, &o->t);
	text_fmt(&o->t, ",\"has_pin\":%s}", e->row.pin_sealed[0] ? "true" : "false");
}

static void send_extension(struct http_response *rs, uint16_t status, const struct site_extension *e)
{
	struct api_out o = {0};
	put_extension(&o, e);
	api_send(rs, status, &o);
	api_tag(rs, e->row.revision);
}

static void list_extensions(const struct site *site, const struct http_request *rq, struct http_response *rs)
{
	struct api_out o = {0};
	struct page p = page_of(rq);
	uint64_t next = p.cursor;
	const struct site_extension *e;
	api_grow(&o, 8);
	text_putc(&o.t, '[');
	for (; (e = site_extension_next(site, &next)) && !page_full(&p); p.n++, p.cursor = next) {
		api_grow(&o, 8);
		if (p.n)
			text_putc(&o.t, ',');
		put_extension(&o, e);
	}
	api_grow(&o, 8);
	text_lit(&o.t, "]\n");
	api_send(rs, 200, &o);
	if (e)
		page_link(rs, "extensions", &p);
}

/* What was made by this request before is shown as it is now. */
static void gone_since(struct http_response *rs)
{
	api_error(rs, 410, "it was made by this request, and removed since", "Idempotency-Key", "take a new key to make it again");
}

static void again_extension(struct service *s, const struct site_change *c, struct http_response *rs)
{
	struct site *site = s->ports.site(s->ports.ctx);
	const struct site_extension *e = site_extension_find(site, span_z(c->extension.row.number));
	if (e)
		send_extension(rs, 201, e);
	else
		gone_since(rs);
	site_unref(site);
}

static void write_extension(struct service *s, const struct site *site, const struct http_request *rq, const struct site_extension *old,
			    struct http_response *rs)
{
	static const char *const verbs[] = {"pin", "has_pin", "id", "revision", NULL};
	struct site_change c = {.kind = CHANGE_EXTENSION};
	struct field_error err;
	json_t *o = body_of(rq, rs), *pin;
	if (!o)
		return;
	if (old)
		c.extension = *old;
	else
		extension_defaults(&c.extension.row);
	char number[sizeof c.extension.row.number];
	memcpy(number, c.extension.row.number, sizeof number);
	if (apply(&extension_desc, &c.extension.row, o, verbs, rs) != 0) {
		/* answered */
	} else if (old && strcmp(number, c.extension.row.number) != 0) {
		api_error(rs, 422, "the number of an extension does not change", "number", "add the new one and remove the old one");
	} else if (extension_validate(&c.extension.row, &err) != 0) {
		api_error(rs, 422, err.what, err.field, err.mend);
	} else if (!(pin = json_object_get(o, "pin")) || set_pin(s, site_settings_of(site), &c.extension.row, pin, rs) == 0) {
		c.if_revision = old ? base_revision(rq, old->row.revision) : 0;
		bool done = api_commit(s, rq, &c, rs);
		if (done && c.done_before)
			again_extension(s, &c, rs);
		else if (done)
			send_extension(rs, old ? 200 : 201, &c.extension);
	}
	json_decref(o);
}

void api_extensions(struct service *s, const struct http_request *rq, struct span id, struct http_response *rs)
{
	struct site *site = s->ports.site(s->ports.ctx);
	const struct site_extension *e = id.n ? site_extension_find(site, id) : NULL;
	if (id.n && !e) {
		api_error(rs, 404, "there is no such extension", "path", "list them with: strowger extension list");
	} else if (rq->method == HTTP_GET && !e) {
		list_extensions(site, rq, rs);
	} else if (rq->method == HTTP_GET) {
		send_extension(rs, 200, e);
	} else if (rq->method == HTTP_POST ? !e : (rq->method == HTTP_PATCH || rq->method == HTTP_PUT) && e) {
		write_extension(s, site, rq, e, rs);
	} else if (rq->method == HTTP_DELETE && e) {
		struct site_change c = {.kind = CHANGE_EXTENSION_GONE, .if_revision = base_revision(rq, e->row.revision), .extension = *e};
		if (api_commit(s, rq, &c, rs))
			rs->status = 204;
	} else {
		not_allowed(rs);
	}
	site_unref(site);
}

/* A generic device's secret is shown here, once. */
static void send_device(struct http_response *rs, uint16_t status, const struct device *d, const struct site_settings *st, const char *secret)
{
	struct api_out o = {0};
	api_grow(&o, 4096);
	text_putc(&o.t, '{');
	if (secret) {
		text_lit(&o.t, "\"user\":");
		text_json(&o.t, span_z(d->extension));
		text_lit(&o.t, ",\"realm\":");
		text_json(&o.t, span_z(st->realm));
		text_lit(&o.t, ",\"secret\":");
		text_json(&o.t, span_z(secret));
		text_putc(&o.t, ',');
	}
	entity_json_members(&device_desc, d, &o.t);
	text_putc(&o.t, '}');
	api_send(rs, status, &o);
	api_tag(rs, d->revision);
}

/* Its secret, too: who asks again has not had the answer. */
static void again_device(struct service *s, const struct site_change *c, struct http_response *rs)
{
	char secret[65] = "";
	struct text t = TEXT_ARRAY(secret);
	struct site *site = s->ports.site(s->ports.ctx);
	const struct site_device *d = site_device_by_id(site, c->device.row.id);
	bool has = d && d->row.secret_sealed[0] && unseal(&s->key, "device", span_z(d->row.secret_sealed), &t) == 0 && text_end(&t);
	if (d)
		send_device(rs, 201, &d->row, site_settings_of(site), has ? secret : NULL);
	else
		gone_since(rs);
	explicit_bzero(secret, sizeof secret);
	site_unref(site);
}

static void add_device(struct service *s, const struct site *site, const struct http_request *rq, struct http_response *rs)
{
	static const char *const verbs[] = {"secret", "id", "revision", NULL};
	static const char alphabet[] = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";
	struct site_change c = {.kind = CHANGE_DEVICE, .if_revision = 0};
	struct field_error err;
	unsigned char raw[20], nonce[12];
	char secret[65] = "";
	json_t *o = body_of(rq, rs), *v;
	if (!o)
		return;
	device_defaults(&c.device.row);
	v = json_object_get(o, "secret");
	if (apply(&device_desc, &c.device.row, o, verbs, rs) != 0)
		goto out;
	if (device_validate(&c.device.row, &err) != 0) {
		api_error(rs, 422, err.what, err.field, err.mend);
		goto out;
	}
	bool polycom = c.device.row.kind == DEVICE_KIND_POLYCOM;
	if (polycom != (c.device.row.mac[0] != 0)) {
		api_error(rs, 422, polycom ? "a Polycom phone has an Ethernet address" : "a generic device has no Ethernet address here", "mac",
			  polycom ? "give its 12 hexadecimal digits, or let the phone come by itself with extension and PIN" : "leave it out");
		goto out;
	}
	if (!site_extension_find(site, span_z(c.device.row.extension))) {
		api_error(rs, 404, "there is no such extension", "extension", "add it first: strowger extension add NUMBER --pin PIN");
		goto out;
	}
	if (c.device.row.kind == DEVICE_KIND_GENERIC) {
		struct text t = TEXT_ARRAY(c.device.row.secret_sealed);
		s->ports.random(s->ports.ctx, raw, sizeof raw);
		s->ports.random(s->ports.ctx, nonce, sizeof nonce);
		for (size_t i = 0; i < sizeof raw; i++)
			secret[i] = alphabet[raw[i] % (sizeof alphabet - 1)];
		if (v && (json_string_length(v) < 8 || !span_copyz(span_z(json_string_value(v)), secret, sizeof secret))) {
			api_error(rs, 422, "a secret has 8 to 64 characters", "secret", "leave it out to get a random one");
			goto out;
		}
		if (seal(&s->key, "device", span_z(secret), nonce, &t) != 0 || !text_end(&t)) {
			api_error(rs, 500, "the secret could not be sealed", "secret", "report this");
			goto out;
		}
	}
	bool done = api_commit(s, rq, &c, rs);
	if (done && c.done_before)
		again_device(s, &c, rs);
	else if (done)
		send_device(rs, 201, &c.device.row, site_settings_of(site), secret[0] ? secret : NULL);
out:
	json_decref(o);
	memset(secret, 0, sizeof secret);
}

static void list_devices(const struct site *site, const struct http_request *rq, struct http_response *rs)
{
	struct api_out o = {0};
	struct page p = page_of(rq);
	uint64_t next = p.cursor;
	const struct site_device *d;
	api_grow(&o, 8);
	text_putc(&o.t, '[');
	for (; (d = site_device_next(site, &next)) && !page_full(&p); p.n++, p.cursor = next) {
		api_grow(&o, 2048);
		text_put(&o.t, p.n ? SPAN_LIT(",{") : SPAN_LIT("{"));
		entity_json_members(&device_desc, &d->row, &o.t);
		text_putc(&o.t, '}');
	}
	api_grow(&o, 8);
	text_lit(&o.t, "]\n");
	api_send(rs, 200, &o);
	if (d)
		page_link(rs, "devices", &p);
}

void api_devices(struct service *s, const struct http_request *rq, struct span id, struct http_response *rs)
{
	struct site *site = s->ports.site(s->ports.ctx);
	uint64_t n = 0;
	const struct site_device *d = id.n && span_u64(id, UINT64_MAX, &n) == 0 ? site_device_by_id(site, n) : NULL;
	if (id.n && !d) {
		api_error(rs, 404, "there is no such device", "path", "list them with: strowger device list");
	} else if (rq->method == HTTP_GET && !d) {
		list_devices(site, rq, rs);
	} else if (rq->method == HTTP_GET) {
		send_device(rs, 200, &d->row, site_settings_of(site), NULL);
	} else if (rq->method == HTTP_POST && !d) {
		add_device(s, site, rq, rs);
	} else if (rq->method == HTTP_DELETE && d) {
		struct site_change c = {.kind = CHANGE_DEVICE_GONE, .if_revision = base_revision(rq, d->row.revision), .device = *d};
		if (api_commit(s, rq, &c, rs))
			rs->status = 204;
	} else {
		not_allowed(rs);
	}
	site_unref(site);
}

/* The collector's key: a text of up to 32 printable characters, empty to have none. */
static int set_hep_key(struct service *s, struct site_settings *st, const json_t *v, struct http_response *rs)
{
	unsigned char nonce[12];
	struct span key = span_z(json_string_value(v));
	if (!json_is_string(v) || key.n > 32) {
		api_error(rs, 422, "the key is a text of at most 32 characters", "hep_key", "give the collector's, or an empty text for none");
		return -1;
	}
	st->hep_key_sealed[0] = '\0';
	if (!key.n)
		return 0;
	s->ports.random(s->ports.ctx, nonce, sizeof nonce);
	struct text t = TEXT_ARRAY(st->hep_key_sealed);
	if (seal(&s->key, "hep", key, nonce, &t) != 0 || !text_end(&t)) {
		api_error(rs, 500, "the key could not be sealed", "hep_key", "report this");
		return -1;
	}
	return 0;
}

void api_settings(struct service *s, const struct http_request *rq, struct http_response *rs)
{
	static const char *const verbs[] = {"id", "revision", "hep_key", NULL};
	struct site *site = s->ports.site(s->ports.ctx);
	struct site_change c = {.kind = CHANGE_SETTINGS, .settings = *site_settings_of(site)};
	struct field_error err;
	struct api_out o = {0};
	json_t *body = NULL;
	c.if_revision = base_revision(rq, c.settings.revision);
	if (rq->method == HTTP_PATCH) {
		if (!(body = body_of(rq, rs)) || apply(&site_settings_desc, &c.settings, body, verbs, rs) != 0)
			goto out;
		json_t *key = json_object_get(body, "hep_key");
		if (key && set_hep_key(s, &c.settings, key, rs) != 0)
			goto out;
		if (site_settings_validate(&c.settings, &err) != 0) {
			api_error(rs, 422, err.what, err.field, err.mend);
			goto out;
		}
		if (strcmp(c.settings.realm, site_settings_of(site)->realm) != 0 && site_extension_count(site) > 0) {
			api_error(rs, 422, "the realm cannot change while there are PINs: they are kept as digests over it", "realm",
				  "choose it before the first extension");
			goto out;
		}
		if (!api_commit(s, rq, &c, rs))
			goto out;
	} else if (rq->method != HTTP_GET) {
		not_allowed(rs);
		goto out;
	}
	api_grow(&o, 4096);
	text_putc(&o.t, '{');
	entity_json_members(&site_settings_desc, &c.settings, &o.t);
	text_fmt(&o.t, ",\"has_hep_key\":%s}", c.settings.hep_key_sealed[0] ? "true" : "false");
	api_send(rs, 200, &o);
	api_tag(rs, c.settings.revision);
out:
	json_decref(body);
	site_unref(site);
}
