#include "gen/routes.h"

static bool same(const char *pattern, struct span path, bool *varies)
{
	struct span p = span_z(pattern);
	while (p.p && path.p) {
		struct span a = span_cut(&p, '/'), b = span_cut(&path, '/');
		bool part = a.n && a.p[0] == '{';
		*varies |= part;
		if (part ? !b.n : !span_eq(a, b))
			return false;
	}
	return !p.p && !path.p;
}

const struct route *route_of(struct span path)
{
	const struct route *found = NULL;
	for (size_t i = 0; i < routes_n; i++) {
		bool varies = false;
		if (!same(routes[i].path, path, &varies))
			continue;
		if (!varies)
			return &routes[i];
		found = found ? found : &routes[i];
	}
	return found;
}
