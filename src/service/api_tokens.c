/* Tokens of the API: made, listed, taken back. What a token is leaves the switch once, in the answer that makes it; kept is its
 * SHA-256, which is enough for 160 random bits. */
#include "service/api.h"

#include <jansson.h>
#include <stdlib.h>

enum { TOKEN_RANDOM = 20 };

static void hash_of(struct span token, char hex[65])
{
	unsigned char h[32];
	struct text t = text_on(hex, 65);
	crypto_sha256(h, &token, 1);
	text_hex(&t, h, sizeof h);
	(void)text_end(&t);
}

/* "2026-11-27" of a time. */
static void day_of(int64_t wall_us, char day[11])
{
	int64_t days = wall_us / 86400000000, era, doe, yoe, doy, mp;
	days += 719468; /* civil from days: the years begin in March */
	era = days / 146097;
	doe = days % 146097;
	yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	mp = (5 * doy + 2) / 153;
	int64_t month = mp < 10 ? mp + 3 : mp - 9;
	struct text t = text_on(day, 11);
	text_fmt(&t, "%04d-%02d-%02d", (int)(yoe + era * 400 + (month <= 2)), (int)month, (int)(doy - (153 * mp + 2) / 5 + 1));
	(void)text_end(&t);
}

static bool is_day(const char *s)
{
	for (size_t i = 0; i < 10; i++)
		if (i == 4 || i == 7 ? s[i] != '-' : !ascii_digit(s[i]))
			return false;
	int month = (s[5] - '0') * 10 + s[6] - '0', day = (s[8] - '0') * 10 + s[9] - '0';
	return !s[10] && month >= 1 && month <= 12 && day >= 1 && day <= 31;
}

enum route_scope token_scope(struct service *s, struct span bearer, int64_t wall_us, char actor[API_ACTOR])
{
	char hex[65], today[11];
	uint64_t cursor = 0;
	enum route_scope scope = ROUTE_NEVER;
	struct site *site = s->ports.site(s->ports.ctx);
	hash_of(bearer, hex);
	day_of(wall_us, today);
	for (const struct api_token *t; (t = site_token_next(site, &cursor));) { /* all of them, whichever it is */
		bool it = span_eq_ct(span_z(hex), span_z(t->hash));
		bool good = !t->expires_on[0] || strcmp(today, t->expires_on) <= 0;
		if (!it || !good)
			continue;
		struct text a = text_on(actor, API_ACTOR);
		text_fmt(&a, "token:%s", t->name);
		(void)text_end(&a);
		scope = t->scope == API_TOKEN_SCOPE_ADMIN ? ROUTE_ADMIN : t->scope == API_TOKEN_SCOPE_WRITE ? ROUTE_WRITE : ROUTE_READ;
	}
	site_unref(site);
	return scope;
}

static void put(struct api_out *o, const struct api_token *t, const char *token)
{
	api_grow(o, 1024);
	text_putc(&o->t, '{');
	if (token) {
		text_lit(&o->t, "\"token\":");
		text_json(&o->t, span_z(token));
		text_putc(&o->t, ',');
	}
	entity_json_members(&api_token_desc, t, &o->t);
	text_putc(&o->t, '}');
}

static const struct api_token *find(const struct site *site, struct span name)
{
	uint64_t cursor = 0;
	const struct api_token *t;
	while ((t = site_token_next(site, &cursor)) && !span_eqz(name, t->name)) {
	}
	return t;
}

static void list(const struct site *site, struct http_response *rs)
{
	struct api_out o = {0};
	uint64_t cursor = 0, n = 0;
	api_grow(&o, 8);
	text_putc(&o.t, '[');
	for (const struct api_token *t; (t = site_token_next(site, &cursor)); n++) {
		if (n)
			text_putc(&o.t, ',');
		put(&o, t, NULL);
		api_grow(&o, 8);
	}
	text_lit(&o.t, "]\n");
	api_send(rs, 200, &o);
}

static bool name_is_good(const char *name)
{
	for (const char *p = name; *p; p++)
		if (!ascii_digit(*p) && !(*p >= 'a' && *p <= 'z') && !(*p >= 'A' && *p <= 'Z') && *p != '-' && *p != '_' && *p != '.')
			return false;
	return name[0] != 0;
}

static void add(struct service *s, const struct site *site, const struct http_request *rq, struct http_response *rs)
{
	static const char alphabet[] = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";
	struct site_change c = {.kind = CHANGE_TOKEN, .if_revision = 0};
	struct field_error err;
	struct api_out o = {0};
	unsigned char raw[2 * TOKEN_RANDOM];
	char token[sizeof raw + 1] = "", today[11];
	uint64_t n = 0;
	api_token_defaults(&c.token);
	day_of(rq->wall_us, today);
	while (site_token_next(site, &n)) {
	}
	if (!api_read_body(rq, &api_token_desc, &c.token, rs))
		return;
	if (api_token_validate(&c.token, &err) != 0) {
		api_error(rs, 422, err.what, err.field, err.mend);
	} else if (!name_is_good(c.token.name)) {
		api_error(rs, 422, "a name has letters, digits, '.', '-' and '_'", "name", "say what it is for: billing, wallboard-2");
	} else if (c.token.expires_on[0] && (!is_day(c.token.expires_on) || strcmp(c.token.expires_on, today) < 0)) {
		api_error(rs, 422, "this is no day to come", "expires_on", "give the last day as 2027-01-31, or leave it out");
	} else if (n >= SITE_TOKENS_MAX) {
		api_error(rs, 422, "there are as many tokens as there may be", "name", "remove one that nobody uses: strowger token list");
	} else {
		s->ports.random(s->ports.ctx, raw, sizeof raw);
		for (size_t i = 0; i < sizeof raw; i++)
			token[i] = alphabet[raw[i] % (sizeof alphabet - 1)];
		hash_of(span_z(token), c.token.hash);
		if (api_commit(s, rq, &c, rs)) {
			put(&o, &c.token, token);
			api_send(rs, 201, &o);
			api_tag(rs, c.token.revision);
		}
		explicit_bzero(token, sizeof token);
	}
}

void api_tokens(struct service *s, const struct http_request *rq, struct span id, struct http_response *rs)
{
	struct site *site = s->ports.site(s->ports.ctx);
	const struct api_token *t = id.n ? find(site, id) : NULL;
	struct api_out o = {0};
	if (id.n && !t) {
		api_error(rs, 404, "there is no such token", "path", "list them with: strowger token list");
	} else if (rq->method == HTTP_POST) {
		add(s, site, rq, rs);
	} else if (rq->method == HTTP_DELETE) {
		struct site_change c = {.kind = CHANGE_TOKEN_GONE, .if_revision = UINT64_MAX, .token = *t};
		if (api_commit(s, rq, &c, rs))
			rs->status = 204;
	} else if (t) {
		put(&o, t, NULL);
		api_send(rs, 200, &o);
		api_tag(rs, t->revision);
	} else {
		list(site, rs);
	}
	site_unref(site);
}
