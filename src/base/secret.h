/* base/secret: bytes that no writer takes. Layer 0, pure. Log fields, text_* and JSON have no form for it; code that
 * must hand the content to a protocol says so by naming .b. Wipe it when done. */
#ifndef BASE_SECRET_H
#define BASE_SECRET_H

#include "base/span.h"

struct secret {
	unsigned char b[64];
	uint8_t n; /* bytes used */
};

static inline void secret_wipe(struct secret *s)
{
	volatile unsigned char *p = s->b;
	for (size_t i = 0; i < sizeof s->b; i++)
		p[i] = 0;
	s->n = 0;
}

#endif
