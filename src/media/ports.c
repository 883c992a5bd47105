#include "base/text.h"
#include "media/worker.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

socklen_t sockaddr_of(const struct addr *a, int socket_family, struct sockaddr_storage *out)
{
	if (socket_family == AF_INET) {
		struct sockaddr_in *in = (struct sockaddr_in *)out;
		*in = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(a->port)};
		memcpy(&in->sin_addr, a->ip, 4);
		return a->family == 4 ? (socklen_t)sizeof *in : 0;
	}
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;
	*in6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons(a->port)};
	if (a->family == 4) {
		in6->sin6_addr.s6_addr[10] = in6->sin6_addr.s6_addr[11] = 0xff;
		memcpy(in6->sin6_addr.s6_addr + 12, a->ip, 4);
	} else {
		memcpy(&in6->sin6_addr, a->ip, 16);
	}
	return (socklen_t)sizeof *in6;
}

void addr_of(const struct sockaddr_storage *ss, struct addr *out)
{
	*out = (struct addr){0};
	if (ss->ss_family == AF_INET) {
		const struct sockaddr_in *in = (const struct sockaddr_in *)ss;
		out->family = 4;
		out->port = ntohs(in->sin_port);
		memcpy(out->ip, &in->sin_addr, 4);
	} else if (ss->ss_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)ss;
		bool mapped = IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr);
		out->family = mapped ? 4 : 6;
		out->port = ntohs(in6->sin6_port);
		if (mapped)
			memcpy(out->ip, in6->sin6_addr.s6_addr + 12, 4);
		else
			memcpy(out->ip, &in6->sin6_addr, 16);
	}
}

int ports_limit(size_t n, char *err, size_t cap)
{
	struct rlimit lim;
	rlim_t need = n + 256; /* what the rest of the process uses */
	if (getrlimit(RLIMIT_NOFILE, &lim) < 0 || lim.rlim_cur >= need)
		return 0;
	rlim_t hard = lim.rlim_max;
	lim.rlim_cur = need < hard ? need : hard;
	if (need <= hard && setrlimit(RLIMIT_NOFILE, &lim) == 0)
		return 0;
	(void)snprintf(err, cap, "media ports need %zu open files, the limit is %llu (ulimit -Hn)", n, (unsigned long long)hard);
	return -1;
}

static int failed(const struct addr *at, const char *what, char *err, size_t cap)
{
	int e = errno;
	char buf[80];
	struct text t = text_on(buf, sizeof buf);
	addr_put(&t, at);
	(void)snprintf(err, cap, "RTP port %.*s: %s: %s", (int)t.n, buf, what, strerror(e));
	return -1;
}

static int open_port(const struct addr *at, bool rtp, char *err, size_t cap)
{
	struct sockaddr_storage ss;
	int family = at->family == 4 ? AF_INET : AF_INET6, ef = 0xb8; /* DSCP EF, RFC 3246 */
	int fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return failed(at, "socket", err, cap);
	/* Best effort: a kernel that refuses to mark packets still carries them. */
	if (rtp)
		(void)(family == AF_INET ? setsockopt(fd, IPPROTO_IP, IP_TOS, &ef, sizeof ef)
		                         : setsockopt(fd, IPPROTO_IPV6, IPV6_TCLASS, &ef, sizeof ef));
	socklen_t n = sockaddr_of(at, family, &ss);
	if (bind(fd, (struct sockaddr *)&ss, n) == 0)
		return fd;
	(void)failed(at, "bind", err, cap);
	close(fd);
	return -1;
}

int ports_open(struct worker *w, const struct addr *addr, char *err, size_t cap)
{
	for (uint32_t i = 0; i < 2 * w->n_pairs; i++) {
		struct addr at = *addr;
		at.port = (uint16_t)(w->port_first + i);
		w->fd[i] = open_port(&at, i % 2 == 0, err, cap);
		if (w->fd[i] < 0)
			return -1;
		struct epoll_event ev = {.events = EPOLLIN | EPOLLET, .data.u32 = i};
		if (epoll_ctl(w->epoll_fd, EPOLL_CTL_ADD, w->fd[i], &ev) < 0)
			return failed(&at, "epoll", err, cap);
	}
	return 0;
}

void ports_close(struct worker *w)
{
	for (uint32_t i = 0; w->fd && i < 2 * w->n_pairs; i++)
		if (w->fd[i] >= 0)
			close(w->fd[i]);
}
