#include "edge/admit.h"

#include "edge/limits.h"
#include "guard/bucket.h"

#include <stdlib.h>

enum { WAYS = 4, NUMBERS = 16, NUMBER_MAX = 16, STEP_US = 100000, HALF_US = 50000, SHUT_US = 200000 };

struct place {
	struct addr addr; /* family 0: free */
	int64_t blocked_until_us;
	struct bucket rate;
	bool known;
};

struct admit {
	struct hash_key key;
	struct nets trusted, blocked;
	char number[NUMBERS][NUMBER_MAX];
	uint8_t number_n[NUMBERS];
	unsigned n_numbers;
	/* what all strangers together have, and what calls for help have */
	uint32_t rate;
	int64_t stepped_us, now_us;
	struct bucket all, help;
	int64_t shut_until_us;
	struct admit_counts counts;
	struct place *place;
};

struct admit *admit_new(struct hash_key key)
{
	struct admit *a = calloc(1, sizeof *a);
	if (a)
		a->place = calloc(ADMIT_SOURCES, sizeof *a->place);
	if (!a || !a->place) {
		free(a);
		return NULL;
	}
	a->key = key;
	a->rate = ADMIT_STRANGERS_PER_S;
	return a;
}

void admit_free(struct admit *a)
{
	if (a)
		free(a->place);
	free(a);
}

static bool is_kept(const struct place *p, int64_t now_us)
{
	return p->known || p->blocked_until_us > now_us;
}

/* Its place; with make, the one that was heard of longest ago and is nothing to us gives way. */
static struct place *place_of(struct admit *a, const struct addr *from, bool make, int64_t now_us)
{
	uint64_t h = siphash(&a->key, from->ip, sizeof from->ip);
	struct place *old = NULL;
	for (uint64_t i = 0; i < WAYS; i++) {
		struct place *p = &a->place[(h + i) % ADMIT_SOURCES];
		if (p->addr.family && addr_same_ip(&p->addr, from))
			return p;
		if (!is_kept(p, now_us) && (!old || !p->addr.family || p->rate.at_us < old->rate.at_us))
			old = p;
	}
	if (!make || !old)
		return NULL;
	*old = (struct place){.addr = *from};
	bucket_fill(&old->rate, now_us, ADMIT_SOURCE_BURST);
	return old;
}

bool admit_known(struct admit *a, const struct addr *source, bool known)
{
	struct place *p = place_of(a, source, known, a->now_us);
	if (!p)
		return !known;
	a->counts.known += (uint32_t)(known && !p->known);
	a->counts.known -= (uint32_t)(!known && p->known);
	p->known = known;
	if (known)
		p->blocked_until_us = 0;
	return true;
}

void admit_blocked(struct admit *a, const struct addr *source, int64_t until_us)
{
	struct place *p = place_of(a, source, until_us > 0, a->now_us);
	if (p)
		p->blocked_until_us = until_us;
}

void admit_lists(struct admit *a, struct span trusted, struct span blocked, struct span emergency)
{
	struct span bad;
	(void)!nets_parse(&a->trusted, trusted, &bad);
	(void)!nets_parse(&a->blocked, blocked, &bad);
	a->n_numbers = 0;
	while (emergency.p && a->n_numbers < NUMBERS) {
		struct span n = span_trim(span_cut(&emergency, ','));
		if (n.n && span_copyz(n, a->number[a->n_numbers], NUMBER_MAX))
			a->number_n[a->n_numbers++] = (uint8_t)n.n;
	}
}

/* Half of it while the switch is late, a tenth more while it is not (RFC 7339's kin: AIMD on delay, not on rate). */
void admit_late(struct admit *a, int64_t late_us, int64_t now_us)
{
	a->shut_until_us = late_us > SHUT_US ? now_us + STEP_US : 0; /* not for the next one after a pause */
	if (now_us - a->stepped_us < STEP_US)
		return;
	a->stepped_us = now_us;
	if (late_us > HALF_US)
		a->rate = a->rate / 2 > ADMIT_STRANGERS_MIN ? a->rate / 2 : ADMIT_STRANGERS_MIN;
	else
		a->rate = a->rate + a->rate / 10 + 1 < ADMIT_STRANGERS_PER_S ? a->rate + a->rate / 10 + 1 : ADMIT_STRANGERS_PER_S;
}

/* "INVITE sip:911@..." or "...;": the number as it stands, before anything is parsed. */
static bool calls_for_help(const struct admit *a, struct span b)
{
	static const char head[] = "INVITE sip";
	size_t at = sizeof head - 1;
	if (b.n < 16 || memcmp(b.p, head, at) != 0)
		return false;
	at += b.p[at] == 's';
	if (b.p[at] != ':')
		return false;
	at++;
	for (unsigned i = 0; i < a->n_numbers; i++) {
		size_t n = a->number_n[i];
		if (b.n > at + n && memcmp(b.p + at, a->number[i], n) == 0 && (b.p[at + n] == '@' || b.p[at + n] == ';'))
			return true;
	}
	return false;
}

static enum admit_verdict verdict(struct admit *a, const struct addr *from, struct span bytes, int64_t now_us)
{
	struct place *p = place_of(a, from, false, now_us);
	if (p && p->known)
		return ADMIT_PASS;
	if (calls_for_help(a, bytes) && bucket_take(&a->help, now_us, ADMIT_EMERGENCIES_PER_S, ADMIT_EMERGENCIES_PER_S)) {
		a->counts.emergencies++;
		return ADMIT_PASS;
	}
	if ((p && p->blocked_until_us > now_us) || nets_hold(&a->blocked, from))
		return ADMIT_BLOCKED;
	if (nets_hold(&a->trusted, from))
		return ADMIT_PASS;
	if (now_us < a->shut_until_us)
		return ADMIT_LOAD;
	if (!p)
		p = place_of(a, from, true, now_us);
	if (p && !bucket_take(&p->rate, now_us, ADMIT_SOURCE_PER_S, ADMIT_SOURCE_BURST))
		return ADMIT_RATE;
	return bucket_take(&a->all, now_us, a->rate, a->rate / 10 + 10) ? ADMIT_PASS : ADMIT_LOAD;
}

enum admit_verdict admit_check(struct admit *a, const struct addr *from, struct span bytes, int64_t now_us)
{
	a->now_us = now_us;
	enum admit_verdict v = verdict(a, from, bytes, now_us);
	a->counts.verdicts[v]++;
	return v;
}

struct admit_counts admit_counts(const struct admit *a)
{
	struct admit_counts c = a->counts;
	c.stranger_rate = a->rate;
	return c;
}
