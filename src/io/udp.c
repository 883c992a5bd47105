#include "io/udp.h"

#include "io/sock.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <unistd.h>

enum { CONTROL_BYTES = 64 }; /* one in_pktinfo or in6_pktinfo with its header */

struct side {
	struct mmsghdr msg[UDP_BATCH];
	struct iovec iov[UDP_BATCH];
	struct sockaddr_storage name[UDP_BATCH];
	_Alignas(16) unsigned char control[UDP_BATCH][CONTROL_BYTES];
};

struct udp {
	int fd;
	struct addr local;
	bool any;
	struct side rx, tx;
	unsigned tx_n;
	size_t tx_bytes;
	struct udp_counts counts;
	unsigned char tx_mem[UDP_SEND_BYTES];
	unsigned char rx_mem[UDP_BATCH][UDP_DATAGRAM_MAX];
};

static int set_int(int fd, int level, int name, int v)
{
	return setsockopt(fd, level, name, &v, sizeof v);
}

static int open_bound(const struct addr *a, int rcvbuf_bytes, bool any)
{
	struct sockaddr_storage ss;
	socklen_t n = sock_from_addr(a, &ss);
	int fd = socket(ss.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	if (set_int(fd, SOL_SOCKET, SO_RCVBUFFORCE, rcvbuf_bytes) != 0)
		set_int(fd, SOL_SOCKET, SO_RCVBUF, rcvbuf_bytes);
	bool ok = a->family != 6 || set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1) == 0;
	if (ok && any)
		ok = (a->family == 4 ? set_int(fd, IPPROTO_IP, IP_PKTINFO, 1) : set_int(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1)) == 0;
	if (ok && bind(fd, (struct sockaddr *)&ss, n) == 0)
		return fd;
	int e = errno;
	close(fd);
	errno = e;
	return -1;
}

struct udp *udp_open(const struct addr *bind_to, int rcvbuf_bytes)
{
	if (bind_to->family != 4 && bind_to->family != 6) {
		errno = EAFNOSUPPORT;
		return NULL;
	}
	struct udp *u = malloc(sizeof *u); /* big and touched as used: not zeroed */
	if (!u)
		return NULL;
	memset(u, 0, offsetof(struct udp, tx_mem));
	u->any = sock_is_any(bind_to);
	u->fd = open_bound(bind_to, rcvbuf_bytes, u->any);
	if (u->fd < 0) {
		int e = errno;
		free(u);
		errno = e;
		return NULL;
	}
	struct sockaddr_storage ss;
	socklen_t n = sizeof ss;
	getsockname(u->fd, (struct sockaddr *)&ss, &n);
	u->local = sock_to_addr(&ss);
	for (unsigned i = 0; i < UDP_BATCH; i++) {
		u->rx.iov[i] = (struct iovec){u->rx_mem[i], UDP_DATAGRAM_MAX};
		u->rx.msg[i].msg_hdr.msg_iov = &u->rx.iov[i];
		u->rx.msg[i].msg_hdr.msg_iovlen = 1;
		u->rx.msg[i].msg_hdr.msg_name = &u->rx.name[i];
	}
	return u;
}

void udp_close(struct udp *u)
{
	if (!u)
		return;
	close(u->fd);
	free(u);
}

int udp_fd(const struct udp *u)
{
	return u->fd;
}

struct addr udp_local(const struct udp *u)
{
	return u->local;
}

struct udp_counts udp_counts(const struct udp *u)
{
	return u->counts;
}

static struct addr arrived_at(const struct udp *u, struct msghdr *h)
{
	struct addr a = u->local;
	if (!u->any)
		return a;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c; c = CMSG_NXTHDR(h, c)) {
		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
			struct in_pktinfo pi;
			memcpy(&pi, CMSG_DATA(c), sizeof pi);
			memcpy(a.ip, &pi.ipi_addr, 4);
		} else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
			struct in6_pktinfo pi;
			memcpy(&pi, CMSG_DATA(c), sizeof pi);
			memcpy(a.ip, &pi.ipi6_addr, 16);
		}
	}
	return a;
}

int udp_recv(struct udp *u, void (*each)(void *ctx, const struct addr *from, const struct addr *to, struct span bytes), void *ctx)
{
	for (unsigned i = 0; i < UDP_BATCH; i++) {
		struct msghdr *h = &u->rx.msg[i].msg_hdr;
		h->msg_namelen = sizeof u->rx.name[i];
		h->msg_flags = 0;
		h->msg_control = u->any ? u->rx.control[i] : NULL;
		h->msg_controllen = u->any ? CONTROL_BYTES : 0;
	}
	int n = recvmmsg(u->fd, u->rx.msg, UDP_BATCH, MSG_DONTWAIT, NULL);
	u->counts.rx_calls++;
	if (n < 0) /* ECONNREFUSED: an ICMP for something sent earlier; the socket goes on */
		return errno == EAGAIN || errno == EINTR || errno == ECONNREFUSED ? 0 : -1;
	u->counts.rx += (uint64_t)n;
	for (int i = 0; i < n; i++) {
		struct msghdr *h = &u->rx.msg[i].msg_hdr;
		if (h->msg_flags & MSG_TRUNC) {
			u->counts.rx_too_long++;
			continue;
		}
		struct addr from = sock_to_addr(&u->rx.name[i]), to = arrived_at(u, h);
		each(ctx, &from, &to, span_mem(u->rx_mem[i], u->rx.msg[i].msg_len));
	}
	return n;
}

/* Says from which of our addresses message i leaves. */
static void leave_from(struct udp *u, unsigned i, const struct addr *from)
{
	struct msghdr *h = &u->tx.msg[i].msg_hdr;
	h->msg_control = NULL;
	h->msg_controllen = 0;
	if (!u->any || from->family != u->local.family || sock_is_any(from))
		return;
	memset(u->tx.control[i], 0, CONTROL_BYTES);
	h->msg_control = u->tx.control[i];
	h->msg_controllen = CONTROL_BYTES;
	struct cmsghdr *c = CMSG_FIRSTHDR(h);
	if (from->family == 4) {
		struct in_pktinfo pi = {0};
		memcpy(&pi.ipi_spec_dst, from->ip, 4);
		c->cmsg_level = IPPROTO_IP;
		c->cmsg_type = IP_PKTINFO;
		c->cmsg_len = CMSG_LEN(sizeof pi);
		memcpy(CMSG_DATA(c), &pi, sizeof pi);
		h->msg_controllen = CMSG_SPACE(sizeof pi);
	} else {
		struct in6_pktinfo pi = {0};
		memcpy(&pi.ipi6_addr, from->ip, 16);
		c->cmsg_level = IPPROTO_IPV6;
		c->cmsg_type = IPV6_PKTINFO;
		c->cmsg_len = CMSG_LEN(sizeof pi);
		memcpy(CMSG_DATA(c), &pi, sizeof pi);
		h->msg_controllen = CMSG_SPACE(sizeof pi);
	}
}

int udp_send(struct udp *u, const struct addr *to, const struct addr *from, struct span bytes)
{
	if (bytes.n > UDP_SEND_MAX || bytes.n == 0 || to->family != u->local.family || to->port == 0)
		return -1;
	if (u->tx_n == UDP_BATCH || UDP_SEND_BYTES - u->tx_bytes < bytes.n)
		udp_flush(u);
	unsigned i = u->tx_n++;
	unsigned char *mem = u->tx_mem + u->tx_bytes;
	memcpy(mem, bytes.p, bytes.n);
	u->tx_bytes += bytes.n;
	u->tx.iov[i] = (struct iovec){mem, bytes.n};
	struct msghdr *h = &u->tx.msg[i].msg_hdr;
	h->msg_iov = &u->tx.iov[i];
	h->msg_iovlen = 1;
	h->msg_namelen = sock_from_addr(to, &u->tx.name[i]);
	h->msg_name = &u->tx.name[i];
	leave_from(u, i, from);
	return 0;
}

void udp_flush(struct udp *u)
{
	unsigned at = 0;
	while (at < u->tx_n) {
		int n = sendmmsg(u->fd, u->tx.msg + at, u->tx_n - at, MSG_DONTWAIT);
		u->counts.tx_calls++;
		if (n > 0) {
			at += (unsigned)n;
			u->counts.tx += (uint64_t)n;
		} else if (errno != EINTR) {
			/* The first of the rest was refused (or reports an old ICMP): once more for ECONNREFUSED would send it,
			 * but a phone that is gone costs nothing: it is skipped. */
			u->counts.tx_lost++;
			at++;
		}
	}
	u->tx_n = 0;
	u->tx_bytes = 0;
}
