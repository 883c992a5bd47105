#include "io/sock.h"

#include <netinet/in.h>
#include <sys/resource.h>
#include <unistd.h>

socklen_t sock_from_addr(const struct addr *a, struct sockaddr_storage *out)
{
	memset(out, 0, sizeof *out);
	if (a->family == 4) {
		struct sockaddr_in *s4 = (struct sockaddr_in *)out;
		s4->sin_family = AF_INET;
		s4->sin_port = htons(a->port);
		memcpy(&s4->sin_addr, a->ip, 4);
		return sizeof *s4;
	}
	if (a->family == 6) {
		struct sockaddr_in6 *s6 = (struct sockaddr_in6 *)out;
		s6->sin6_family = AF_INET6;
		s6->sin6_port = htons(a->port);
		memcpy(&s6->sin6_addr, a->ip, 16);
		return sizeof *s6;
	}
	return 0;
}

struct addr sock_to_addr(const struct sockaddr_storage *ss)
{
	struct addr a = {0};
	if (ss->ss_family == AF_INET) {
		const struct sockaddr_in *s4 = (const struct sockaddr_in *)ss;
		memcpy(a.ip, &s4->sin_addr, 4);
		a.port = ntohs(s4->sin_port);
		a.family = 4;
	} else if (ss->ss_family == AF_INET6) {
		const struct sockaddr_in6 *s6 = (const struct sockaddr_in6 *)ss;
		a.port = ntohs(s6->sin6_port);
		if (IN6_IS_ADDR_V4MAPPED(&s6->sin6_addr)) {
			memcpy(a.ip, s6->sin6_addr.s6_addr + 12, 4);
			a.family = 4;
		} else {
			memcpy(a.ip, &s6->sin6_addr, 16);
			a.family = 6;
		}
	}
	return a;
}

bool sock_is_any(const struct addr *a)
{
	static const uint8_t zero[16];
	return memcmp(a->ip, zero, a->family == 4 ? 4 : 16) == 0;
}

struct addr sock_primary_addr(uint8_t family)
{
	/* 192.0.2.1 and 2001:db8::1 (documentation): only the routing table is asked. */
	struct addr far = {.port = 9, .family = family}, got = {.family = family};
	memcpy(far.ip, family == 4 ? "\xc0\x00\x02\x01" : "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01", family == 4 ? 4 : 16);
	struct sockaddr_storage ss;
	socklen_t n = sock_from_addr(&far, &ss);
	int fd = socket(ss.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&ss, n) == 0) {
		n = sizeof ss;
		if (getsockname(fd, (struct sockaddr *)&ss, &n) == 0)
			got = sock_to_addr(&ss);
	}
	if (fd >= 0)
		close(fd);
	got.port = 0;
	if (got.family != family || sock_is_any(&got)) {
		got = (struct addr){.family = family};
		if (family == 4)
			memcpy(got.ip, "\x7f\0\0\x01", 4);
		else
			got.ip[15] = 1;
	}
	return got;
}

uint64_t sock_raise_nofile(uint64_t want, uint64_t cap)
{
	struct rlimit rl;
	if (getrlimit(RLIMIT_NOFILE, &rl) != 0)
		return 0;
	if (want > cap)
		want = cap;
	if (want > rl.rlim_max)
		want = rl.rlim_max;
	if (want > rl.rlim_cur) {
		rl.rlim_cur = want;
		if (setrlimit(RLIMIT_NOFILE, &rl) != 0)
			getrlimit(RLIMIT_NOFILE, &rl);
	}
	return rl.rlim_cur;
}
