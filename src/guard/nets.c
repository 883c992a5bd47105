#include "guard/nets.h"

int nets_parse(struct nets *out, struct span text, struct span *bad)
{
	*out = (struct nets){.n = 0};
	*bad = SPAN_NONE;
	while (text.p) {
		struct span item = span_trim(span_cut(&text, ',')), ip = item, bits = item;
		uint64_t n;
		if (!item.n)
			continue;
		if (out->n == NETS_MAX)
			return -1;
		ip = span_cut(&bits, '/');
		*bad = item;
		if (addr_parse(span_trim(ip), 0, &out->net[out->n].addr) != 0)
			return -1;
		uint8_t all = out->net[out->n].addr.family == 6 ? 128 : 32;
		if (!bits.p)
			n = all;
		else if (span_u64(span_trim(bits), all, &n) != 0)
			return -1;
		out->net[out->n++].bits = (uint8_t)n;
		*bad = SPAN_NONE;
	}
	return 0;
}

static bool same_bits(const uint8_t *a, const uint8_t *b, unsigned bits)
{
	if (memcmp(a, b, bits / 8) != 0)
		return false;
	unsigned left = bits % 8;
	return !left || (a[bits / 8] ^ b[bits / 8]) >> (8 - left) == 0;
}

bool nets_hold(const struct nets *n, const struct addr *a)
{
	for (uint32_t i = 0; i < n->n; i++)
		if (n->net[i].addr.family == a->family && same_bits(n->net[i].addr.ip, a->ip, n->net[i].bits))
			return true;
	return false;
}
