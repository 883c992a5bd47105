#include "io/random.h"

#include "base/assert.h"

#include <errno.h>
#include <sys/random.h>

void random_bytes(void *dst, size_t n)
{
	unsigned char *p = dst;
	while (n > 0) {
		ssize_t got = getrandom(p, n, 0);
		if (got < 0) {
			INVARIANT(errno == EINTR);
			continue;
		}
		p += got;
		n -= (size_t)got;
	}
}
