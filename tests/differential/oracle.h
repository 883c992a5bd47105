/* What the oracle programs of the differential test share: messages in, one canonical line out for each. Header only, so that
 * the peers' programs link nothing of ours.
 * In: 4 bytes of length (big endian), then the message, until the end of standard input.
 * Out: "accept" or "reject", then name=value pairs, parted by tabs. Absent and empty are not written. Bytes outside the
 * printable ASCII, '\' and space are written \xHH. A line is flushed before the next message is read, so that a peer that
 * dies tells by its silence which message killed it; one that hangs is ended by SIGALRM. */
#ifndef TESTS_DIFFERENTIAL_ORACLE_H
#define TESTS_DIFFERENTIAL_ORACLE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ORACLE_MAX = 70000, ORACLE_SECONDS = 5 };

static inline void put_bytes(const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)p[i];
		if (c > 32 && c < 127 && c != '\\')
			putchar(c);
		else
			printf("\\x%02x", c);
	}
}

static inline void put_field(const char *name, const char *p, size_t n)
{
	if (p == NULL || n == 0)
		return;
	printf("\t%s=", name);
	put_bytes(p, n);
}

static inline void put_text(const char *name, const char *z)
{
	put_field(name, z, z ? strlen(z) : 0);
}

static inline void put_number(const char *name, unsigned long long v)
{
	printf("\t%s=%llu", name, v);
}

/* A host is compared without the brackets of an IPv6 reference, as half of the peers cut them. */
static inline void put_host(const char *name, const char *p, size_t n)
{
	if (n > 2 && p[0] == '[' && p[n - 1] == ']') {
		p++;
		n -= 2;
	}
	put_field(name, p, n);
}

/* One message: prints its line without the line's end. The buffer may be written to and has a 0 behind n. */
typedef void oracle_fn(char *msg, size_t n);

static inline int oracle_loop(oracle_fn *one)
{
	static char msg[ORACLE_MAX + 1];
	unsigned char head[4];
	while (fread(head, 1, 4, stdin) == 4) {
		size_t n = (size_t)head[0] << 24 | (size_t)head[1] << 16 | (size_t)head[2] << 8 | head[3];
		if (n > ORACLE_MAX || fread(msg, 1, n, stdin) != n)
			return 2;
		msg[n] = 0;
		alarm(ORACLE_SECONDS);
		one(msg, n);
		putchar('\n');
		fflush(stdout);
	}
	return 0;
}

#endif
