/* guard/nets: lists of networks as a person writes them: "192.0.2.0/24, 2001:db8::/32, 198.51.100.7". Layer 2, pure. */
#ifndef GUARD_NETS_H
#define GUARD_NETS_H

#include "base/addr.h"

enum { NETS_MAX = 64 };
struct nets {
	struct {
		struct addr addr;
		uint8_t bits;
	} net[NETS_MAX];
	uint32_t n;
};
/* 0; -1: *bad is what cannot be read, or empty when there are too many. */
int nets_parse(struct nets *out, struct span text, struct span *bad) __attribute__((warn_unused_result));
bool nets_hold(const struct nets *n, const struct addr *a);

#endif
