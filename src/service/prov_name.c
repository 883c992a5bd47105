#include "service/service_internal.h"

static bool mac_of(struct span s, char out[13])
{
	if (s.n != 12)
		return false;
	for (int i = 0; i < 12; i++) {
		if (ascii_hex(s.p[i]) < 0)
			return false;
		out[i] = ascii_lower(s.p[i]);
	}
	out[12] = 0;
	return true;
}

static bool digits(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!ascii_digit(s.p[i]))
			return false;
	return s.n > 0 && s.n <= 7;
}

/* <mac>-phone.cfg and the like: what stands behind the MAC decides. */
static enum prov_file by_suffix(struct span tail)
{
	static const struct { const char *tail; enum prov_file file; } known[] = {
		{".cfg", PROV_MASTER}, {"-phone.cfg", PROV_OPTIONAL}, {"-web.cfg", PROV_OPTIONAL}, {"-license.cfg", PROV_OPTIONAL},
		{"-directory.xml", PROV_OPTIONAL}, {"-calls.xml", PROV_OPTIONAL}, {"-boot.log", PROV_LOG}, {"-app.log", PROV_LOG},
	};
	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
		if (span_ieqz(tail, known[i].tail))
			return known[i].file;
	return PROV_NONE;
}

bool prov_name_parse(struct span path, struct prov_name *out)
{
	struct prov_name n = {.file = PROV_NONE};
	if (path.n < 2 || path.n > 128 || path.p[0] != '/')
		return false;
	path = span_sub(path, 1, path.n);
	ptrdiff_t slash = span_chr(path, '/');
	if (slash >= 0) {
		struct span leaf = span_sub(path, (size_t)slash + 1, path.n);
		if (!mac_of(span_sub(path, 0, (size_t)slash), n.mac) || !span_istarts(leaf, SPAN_LIT("Extension_")) || leaf.n < 15 ||
		    !span_ieqz(span_sub(leaf, leaf.n - 4, leaf.n), ".cfg"))
			return false;
		n.number = span_sub(leaf, 10, leaf.n - 4);
		if (!digits(n.number))
			return false;
		n.file = PROV_EXTENSION;
		n.leaf = leaf;
	} else if (span_ieqz(path, "guest.cfg")) {
		n.file = PROV_GUEST;
		n.leaf = path;
	} else if (path.n > 3 && (span_ieqz(span_sub(path, path.n - 3, path.n), ".ld") || span_ieqz(path, "sip.ver"))) {
		n.file = PROV_FIRMWARE;
		n.leaf = path;
	} else {
		if (!mac_of(span_sub(path, 0, 12), n.mac))
			return false;
		n.file = by_suffix(span_sub(path, 12, path.n));
		n.leaf = path;
		if (n.file == PROV_MASTER && !strcmp(n.mac, "000000000000"))
			n.file = PROV_ZERO_MASTER;
	}
	if (n.file == PROV_NONE)
		return false;
	*out = n;
	return true;
}
