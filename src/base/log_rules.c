#include "base/log_rules.h"

#include "base/addr.h"

int log_level_parse(struct span s, enum log_level *out)
{
	static const enum log_level all[] = {LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR};
	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
		if (span_eqz(s, log_level_name(all[i]))) {
			*out = all[i];
			return 0;
		}
	return -1;
}

/* Names are shown to people and compared with fields: what cannot stand in a name is refused early. */
static bool is_name(struct span s, const char *more)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = ascii_lower(s.p[i]);
		if (!ascii_digit(c) && (c < 'a' || c > 'z') && !strchr(more, c))
			return false;
	}
	return s.n > 0;
}

int log_rules_subsystem(struct log_rules *r, struct span name, enum log_level level)
{
	char z[sizeof r->subsystem[0].name];
	size_t i = 0;
	if (!is_name(name, "_-") || !span_copyz(name, z, sizeof z))
		return -1;
	while (i < r->n_subsystem && strcmp(r->subsystem[i].name, z) != 0)
		i++;
	if (i == LOG_MAX_SUBSYSTEMS)
		return -1;
	if (i == r->n_subsystem)
		r->n_subsystem++;
	memcpy(r->subsystem[i].name, z, sizeof z);
	r->subsystem[i].level = level;
	return 0;
}

static size_t find_peer(const struct log_rules *r, struct span peer)
{
	size_t i = 0;
	while (i < r->n_peer && !span_eqz(peer, r->peer[i].peer))
		i++;
	return i;
}

int log_rules_peer(struct log_rules *r, struct span peer, enum log_level level, int64_t until_us)
{
	char z[sizeof r->peer[0].peer];
	if (!is_name(peer, ".:*#+_-") || !span_copyz(peer, z, sizeof z))
		return -1;
	size_t i = find_peer(r, peer);
	if (i == LOG_MAX_PEERS)
		return -1;
	if (i == r->n_peer)
		r->n_peer++;
	memcpy(r->peer[i].peer, z, sizeof z);
	r->peer[i].level = level;
	r->peer[i].until_us = until_us;
	return 0;
}

bool log_rules_peer_gone(struct log_rules *r, struct span peer)
{
	size_t i = find_peer(r, peer);
	if (i == r->n_peer)
		return false;
	r->peer[i] = r->peer[--r->n_peer];
	return true;
}

int64_t log_rules_expire(struct log_rules *r, int64_t now_us)
{
	int64_t next = INT64_MAX;
	for (size_t i = r->n_peer; i-- > 0;) {
		if (r->peer[i].until_us <= now_us)
			r->peer[i] = r->peer[--r->n_peer];
		else if (r->peer[i].until_us < next)
			next = r->peer[i].until_us;
	}
	return next;
}

enum log_level log_rules_min(const struct log_rules *r)
{
	enum log_level min = r->level;
	for (size_t i = 0; i < r->n_subsystem; i++)
		min = r->subsystem[i].level < min ? r->subsystem[i].level : min;
	for (size_t i = 0; i < r->n_peer; i++)
		min = r->peer[i].level < min ? r->peer[i].level : min;
	return min;
}

static enum log_level level_of(const struct log_rules *r, const char *event)
{
	struct span rest = span_z(event), head = span_cut(&rest, '.');
	for (size_t i = 0; i < r->n_subsystem; i++)
		if (span_eqz(head, r->subsystem[i].name))
			return r->subsystem[i].level;
	return r->level;
}

static bool is_one_of(const char *key, const char *const *keys)
{
	while (*keys && strcmp(*keys, key) != 0)
		keys++;
	return *keys != NULL;
}

/* "192.0.2.7", "192.0.2.7:5060", "192.0.2.7:5060/udp", "[2001:db8::7]:5060". */
static bool is_address(struct span v, const char *peer)
{
	struct span p = span_z(peer);
	if (v.n && v.p[0] == '[') {
		ptrdiff_t end = span_chr(v, ']');
		return end > 0 && span_eq(span_sub(v, 1, (size_t)end), p);
	}
	if (!span_starts(v, p))
		return false;
	struct addr a;
	bool v6 = addr_parse(p, 0, &a) == 0 && a.family == 6;
	return v.n == p.n || v.p[p.n] == '/' || (!v6 && v.p[p.n] == ':');
}

static bool speaks_of(const struct log_field *f, const char *peer)
{
	static const char *const addresses[] = {"peer", "source", "from", "remote", NULL};
	static const char *const people[] = {"extension", "ext", "user", "caller", "callee", NULL};
	if (f->type != LOG_F_TEXT)
		return false;
	if (is_one_of(f->key, addresses))
		return is_address(f->text, peer);
	return is_one_of(f->key, people) && span_eqz(f->text, peer);
}

bool log_rules_want(const struct log_rules *r, enum log_level level, const char *event, const struct log_field *f, size_t n)
{
	if (level >= level_of(r, event))
		return true;
	for (size_t i = 0; i < r->n_peer; i++) {
		if (level < r->peer[i].level)
			continue;
		for (size_t k = 0; k < n; k++)
			if (speaks_of(&f[k], r->peer[i].peer))
				return true;
	}
	return false;
}
