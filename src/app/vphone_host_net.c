/* Sockets of the live phone. */
#include "app/vphone_host.h"

#include "io/clock.h"
#include "io/sock.h"
#include "io/tcp.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

void vh_trace(struct vhost *h, const char *dir, const struct addr *peer, struct span bytes)
{
	char line[4096], where[64];
	struct text t = TEXT_ARRAY(line), w = TEXT_ARRAY(where);
	if (!h->o.trace)
		return;
	addr_put(&w, peer);
	text_fmt(&t, "{\"sip\":\"%s\",\"peer\":\"" SPAN_FMT "\",\"text\":", dir, SPAN_ARG(text_span(&w)));
	text_json(&t, span_sub(bytes, 0, 1500));
	text_lit(&t, "}\n");
	if (!t.over)
		fwrite(t.p, 1, t.n, stderr);
}

static void rtp_in(struct vhost *h, struct vh_udp *u, const struct addr *from, struct span bytes)
{
	struct vphone_in in = {.kind = VP_IN_RTP, .bytes = bytes, .rtp_port = u->port, .rtp_from = *from};
	if (!(u->port & 1))
		vh_record_packet(h, bytes);
	vh_step(h, &in);
}

static void udp_ready(struct loop_fd *f, uint32_t events)
{
	struct vh_udp *u = (struct vh_udp *)(void *)f;
	struct vhost *h = u->h;
	char buf[VH_BUF];
	(void)events;
	for (int i = 0; i < 64 && u->fd.fd >= 0; i++) {
		struct sockaddr_storage ss;
		socklen_t len = sizeof ss;
		ssize_t n = recvfrom(u->fd.fd, buf, sizeof buf, MSG_DONTWAIT, (struct sockaddr *)&ss, &len);
		if (n < 0)
			return;
		struct addr from = sock_to_addr(&ss);
		struct span bytes = span_mem(buf, (size_t)n);
		if (u->rtp) {
			rtp_in(h, u, &from, bytes);
			continue;
		}
		vh_trace(h, "in", &from, bytes);
		struct vphone_in in = {.kind = VP_IN_SIP, .bytes = bytes, .flow = {.transport = SIP_UDP, .remote = from, .local = h->o.phone.ip}};
		in.flow.local.port = u->port;
		vh_step(h, &in);
	}
}

static struct vh_udp *udp_find(struct vhost *h, uint16_t port)
{
	for (int i = 0; i < VH_UDP + VH_RTP; i++)
		if (h->udp[i].fd.fd >= 0 && h->udp[i].port == port)
			return &h->udp[i];
	return NULL;
}

static struct vh_udp *udp_bind(struct vhost *h, uint16_t port, bool rtp)
{
	struct vh_udp *u = NULL;
	struct sockaddr_storage ss;
	struct addr at = h->o.phone.ip;
	for (int i = 0; i < VH_UDP + VH_RTP && !u; i++)
		if (h->udp[i].fd.fd < 0)
			u = &h->udp[i];
	at.port = port;
	int fd = u ? socket(at.family == 6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0) : -1;
	if (fd < 0 || bind(fd, (struct sockaddr *)&ss, sock_from_addr(&at, &ss)) != 0) {
		char where[64];
		struct text w = TEXT_ARRAY(where);
		addr_put(&w, &at);
		fprintf(stderr, "vphone: cannot bind UDP " SPAN_FMT ": %s\n", SPAN_ARG(text_span(&w)), strerror(errno));
		if (fd >= 0)
			close(fd);
		return NULL;
	}
	*u = (struct vh_udp){.fd = {fd, udp_ready}, .h = h, .port = port, .rtp = rtp};
	if (loop_add(&h->loop, &u->fd, EPOLLIN) != 0) {
		close(fd);
		u->fd.fd = -1;
		return NULL;
	}
	return u;
}

static void udp_drop(struct vhost *h, struct vh_udp *u)
{
	if (!u || u->fd.fd < 0)
		return;
	loop_remove(&h->loop, &u->fd);
	close(u->fd.fd);
	u->fd.fd = -1;
}

void vh_rtp_open(struct vhost *h, uint16_t port)
{
	udp_bind(h, port, true);
	udp_bind(h, (uint16_t)(port + 1), true);
}

void vh_rtp_close(struct vhost *h, uint16_t port)
{
	udp_drop(h, udp_find(h, port));
	udp_drop(h, udp_find(h, (uint16_t)(port + 1)));
}

static void udp_to(const struct vh_udp *u, const struct addr *to, struct span bytes)
{
	struct sockaddr_storage ss;
	socklen_t len = sock_from_addr(to, &ss);
	if (u && len) /* what the kernel refuses is lost, as on a wire */
		(void)!sendto(u->fd.fd, bytes.p, bytes.n, MSG_DONTWAIT, (struct sockaddr *)&ss, len);
}

void vh_send_rtp(struct vhost *h, const struct vphone_out *o)
{
	udp_to(udp_find(h, o->rtp_port), &o->to, o->bytes);
}

/* ---- TCP ---- */

static void conn_free(struct vhost *h, struct vh_conn *c)
{
	tls_free(c->tls);
	if (c->fd.fd >= 0) {
		loop_remove(&h->loop, &c->fd);
		close(c->fd.fd);
	}
	free(c->in);
	free(c->out);
	*c = (struct vh_conn){.fd = {-1, NULL}};
}

static struct sip_flow conn_flow(const struct vhost *h, const struct vh_conn *c)
{
	return (struct sip_flow){.transport = c->tls ? SIP_TLS : SIP_TCP, .conn = c->id, .remote = c->remote, .local = h->o.phone.ip};
}

/* The phone must not be called from within its own output: failures wait for the end of the turn. */
static void conn_kill(struct vh_conn *c)
{
	c->dead = true;
}

void vh_net_reap(struct vhost *h)
{
	for (int i = 0; i < VH_CONNS; i++) {
		struct vh_conn *c = &h->conn[i];
		if (!c->dead)
			continue;
		struct vphone_in in = {.kind = VP_IN_CONN, .flow = conn_flow(h, c)};
		conn_free(h, c);
		vh_step(h, &in);
	}
}

static void conn_flush(struct vhost *h, struct vh_conn *c)
{
	while (c->out_n && !c->connecting && !c->handshaking) {
		size_t n = 0;
		enum tls_io io = c->tls ? tls_write(c->tls, c->out, c->out_n, &n) : TLS_DONE;
		if (!c->tls) {
			ssize_t k = send(c->fd.fd, c->out, c->out_n, MSG_DONTWAIT | MSG_NOSIGNAL);
			io = k >= 0 ? TLS_DONE : errno == EAGAIN ? TLS_WANTS_WRITE : TLS_BROKEN;
			n = k > 0 ? (size_t)k : 0;
		}
		if (io != TLS_DONE) {
			if (io == TLS_BROKEN || io == TLS_CLOSED)
				conn_kill(c);
			break;
		}
		memmove(c->out, c->out + n, c->out_n - (size_t)n);
		c->out_n -= (size_t)n;
	}
	loop_modify(&h->loop, &c->fd, EPOLLIN | ((c->out_n && !c->handshaking) || c->connecting ? EPOLLOUT : 0u));
}

static void conn_messages(struct vhost *h, struct vh_conn *c)
{
	while (!c->dead && c->in_n) {
		size_t used = 0;
		enum sip_frame_kind k = sip_frame(&c->framer, span_mem(c->in, c->in_n), VH_BUF, &used);
		if (k == SIP_FRAME_MORE)
			return;
		if (k == SIP_FRAME_BROKEN) {
			conn_kill(c);
			return;
		}
		if (k == SIP_FRAME_MESSAGE) {
			struct vphone_in in = {.kind = VP_IN_SIP, .bytes = span_mem(c->in, used), .flow = conn_flow(h, c)};
			vh_trace(h, "in", &c->remote, in.bytes);
			vh_step(h, &in);
		}
		memmove(c->in, c->in + used, c->in_n - used);
		c->in_n -= used;
	}
}

/* False: not yet, or dead. */
static bool conn_shake(struct vhost *h, struct vh_conn *c)
{
	enum tls_io io = tls_handshake(c->tls);
	if (io == TLS_DONE) {
		c->handshaking = false;
		conn_flush(h, c);
		return true;
	}
	if (io == TLS_BROKEN || io == TLS_CLOSED) {
		fprintf(stderr, "vphone: the TLS handshake failed: is the server's certificate for its address, and of --ca?\n");
		conn_kill(c);
	} else {
		loop_modify(&h->loop, &c->fd, io == TLS_WANTS_WRITE ? EPOLLOUT : EPOLLIN);
	}
	return false;
}

/* Bytes read, 0: none now, -1: it is over. */
static ssize_t conn_read(struct vh_conn *c)
{
	size_t n = 0;
	if (!c->tls) {
		ssize_t k = recv(c->fd.fd, c->in + c->in_n, VH_BUF - c->in_n, MSG_DONTWAIT);
		return k > 0 ? k : k < 0 && errno == EAGAIN ? 0 : -1;
	}
	switch (tls_read(c->tls, c->in + c->in_n, VH_BUF - c->in_n, &n)) {
	case TLS_DONE: return (ssize_t)n;
	case TLS_WANTS_READ:
	case TLS_WANTS_WRITE: return 0;
	case TLS_CLOSED:
	case TLS_BROKEN: return -1;
	}
	return -1;
}

static void conn_ready(struct loop_fd *f, uint32_t events)
{
	struct vh_conn *c = (struct vh_conn *)(void *)f;
	struct vhost *h = c->h;
	if (c->connecting) {
		if (tcp_error(f->fd) != 0) {
			conn_kill(c);
			return;
		}
		c->connecting = false;
		if (!c->handshaking)
			conn_flush(h, c);
	}
	if (c->handshaking && !conn_shake(h, c))
		return;
	if (events & EPOLLOUT)
		conn_flush(h, c);
	if (!(events & (EPOLLIN | EPOLLERR | EPOLLHUP)))
		return;
	do {
		ssize_t n = conn_read(c);
		if (n < 0)
			conn_kill(c);
		if (n <= 0)
			return;
		c->in_n += (size_t)n;
		conn_messages(h, c);
	} while (c->tls && !c->dead && tls_pending(c->tls));
}

static struct vh_conn *conn_add(struct vhost *h, int fd, const struct addr *remote, bool connecting)
{
	struct vh_conn *c = NULL;
	for (int i = 0; i < VH_CONNS && !c; i++)
		if (h->conn[i].fd.fd < 0)
			c = &h->conn[i];
	if (!c || fd < 0)
		return NULL;
	*c = (struct vh_conn){.fd = {fd, conn_ready}, .h = h, .remote = *remote, .id = ++h->next_conn, .connecting = connecting,
		.in = malloc(VH_BUF), .out = malloc(VH_BUF)};
	if (!c->in || !c->out || loop_add(&h->loop, &c->fd, EPOLLIN | (connecting ? EPOLLOUT : 0u)) != 0) {
		conn_free(h, c);
		return NULL;
	}
	return c;
}

static void accept_ready(struct loop_fd *f, uint32_t events)
{
	struct vhost *h = (struct vhost *)(void *)((char *)f - offsetof(struct vhost, listener));
	struct addr remote, local;
	(void)events;
	int fd = tcp_accept(f->fd, &remote, &local);
	if (fd >= 0 && !conn_add(h, fd, &remote, false))
		close(fd);
}

static bool conn_secure(struct vhost *h, struct vh_conn *c)
{
	char why[512], name[64];
	struct text t = TEXT_ARRAY(name);
	struct tls_opts o = {.policy = TLS_MODERN, .ca_file = h->o.ca};
	if (!h->tls && !(h->tls = tls_ctx_new(&o, why, sizeof why))) {
		fprintf(stderr, "vphone: TLS: %s\n", why);
		return false;
	}
	addr_put_ip(&t, &c->remote);
	text_end(&t);
	c->tls = tls_connect(h->tls, c->fd.fd, h->o.ca ? name : NULL);
	c->handshaking = c->tls != NULL;
	return c->tls != NULL;
}

static struct vh_conn *conn_for(struct vhost *h, const struct sip_flow *flow)
{
	for (int i = 0; i < VH_CONNS; i++) {
		struct vh_conn *c = &h->conn[i];
		if (c->fd.fd >= 0 && !c->dead && (c->tls != NULL) == (flow->transport == SIP_TLS) && (flow->conn ? c->id == flow->conn : addr_eq(&c->remote, &flow->remote)))
			return c;
	}
	if (flow->conn) /* it is gone; its peer's address may do */
		return conn_for(h, &(struct sip_flow){.transport = flow->transport, .remote = flow->remote});
	int fd = tcp_connect(&flow->remote, &h->o.phone.ip);
	struct vh_conn *c = conn_add(h, fd, &flow->remote, true);
	if (!c && fd >= 0)
		close(fd);
	if (c && flow->transport == SIP_TLS && !conn_secure(h, c)) {
		conn_free(h, c);
		return NULL;
	}
	return c;
}

void vh_send_sip(struct vhost *h, const struct vphone_out *o)
{
	vh_trace(h, "out", &o->flow.remote, o->bytes);
	if (o->flow.transport == SIP_UDP) {
		uint16_t port = o->flow.local.port ? o->flow.local.port : h->o.phone.ip.port;
		struct vh_udp *u = udp_find(h, port);
		udp_to(u ? u : udp_bind(h, port, false), &o->flow.remote, o->bytes);
		return;
	}
	struct vh_conn *c = conn_for(h, &o->flow);
	if (!c || o->bytes.n > VH_BUF - c->out_n)
		return; /* the transaction times out */
	memcpy(c->out + c->out_n, o->bytes.p, o->bytes.n);
	c->out_n += o->bytes.n;
	conn_flush(h, c);
}

int vh_net_open(struct vhost *h)
{
	for (int i = 0; i < VH_UDP + VH_RTP; i++)
		h->udp[i].fd.fd = -1;
	for (int i = 0; i < VH_CONNS; i++)
		h->conn[i].fd.fd = -1;
	h->listener = (struct loop_fd){-1, accept_ready};
	h->input.fd = -1;
	if (!udp_bind(h, h->o.phone.ip.port, false))
		return -1;
	h->listener.fd = tcp_listen(&h->o.phone.ip, 8);
	if (h->listener.fd < 0 || loop_add(&h->loop, &h->listener, EPOLLIN) != 0)
		fprintf(stderr, "vphone: no TCP listener: %s\n", strerror(errno));
	return 0;
}

void vh_net_close(struct vhost *h)
{
	for (int i = 0; i < VH_UDP + VH_RTP; i++)
		udp_drop(h, &h->udp[i]);
	for (int i = 0; i < VH_CONNS; i++)
		if (h->conn[i].fd.fd >= 0)
			conn_free(h, &h->conn[i]);
	if (h->listener.fd >= 0)
		close(h->listener.fd);
	tls_ctx_unref(h->tls);
}
