/* Writing: at once what the socket takes, the rest when it is writable again, never more than the limit. */
#include "edge/sip_tcp_internal.h"

#include <stdlib.h>

struct tcp_chunk *tcp_chunk_new(struct span bytes)
{
	struct tcp_chunk *k = malloc(sizeof *k + bytes.n);
	if (!k)
		return NULL;
	k->next = NULL;
	k->n = (uint32_t)bytes.n;
	k->at = 0;
	memcpy(k->bytes, bytes.p, bytes.n);
	return k;
}

void tcp_watch(struct tcp_conn *c)
{
	uint32_t ev = 0;
	if (c->handshaking)
		ev |= c->tls_wants_write ? EPOLLOUT : EPOLLIN;
	else if (c->state == TCP_CONNECTING || c->out || c->tls_wants_write)
		ev |= EPOLLOUT;
	if (c->state == TCP_OPEN && !c->paused && !c->closing && !c->handshaking)
		ev |= EPOLLIN;
	loop_modify(&c->owner->loop, &c->watch, ev);
}

/* False: the connection is broken. */
static bool push_out(struct tcp_conn *c)
{
	while (c->out) {
		struct tcp_chunk *k = c->out;
		size_t n = 0;
		enum tcp_io io = tcp_send(c, k->bytes + k->at, k->n - k->at, &n);
		if (io != TCP_IO_DONE)
			return io == TCP_IO_AGAIN;
		k->at += (uint32_t)n;
		c->out_bytes -= (uint32_t)n;
		if (k->at < k->n)
			return true;
		c->out = k->next;
		if (!c->out)
			c->out_tail = &c->out;
		free(k);
	}
	return true;
}

void tcp_writable(struct tcp_conn *c)
{
	if (!push_out(c) || (c->closing && !c->out))
		tcp_table_close(c->owner, c, true);
	else
		tcp_watch(c);
}

void tcp_write(struct tcp_conn *c, struct tcp_chunk *chunk)
{
	struct sip_tcp *s = c->owner;
	if (c->out_bytes + chunk->n > TCP_MAX_WRITE_BUFFER) {
		free(chunk);
		tcp_count(&s->slow);
		log_event(s->o.log, LOG_WARN, "tcp.slow_reader_closed", LOG_I("conn", c->flow.conn), LOG_I("bytes", c->out_bytes));
		tcp_table_close(s, c, true);
		return;
	}
	bool was_idle = c->out == NULL;
	c->out_bytes += chunk->n;
	*c->out_tail = chunk;
	c->out_tail = &chunk->next;
	if (c->state == TCP_CONNECTING || c->handshaking || !was_idle)
		return;
	if (!push_out(c))
		tcp_table_close(s, c, true);
	else if (c->out)
		tcp_watch(c);
}

void tcp_write_bytes(struct tcp_conn *c, struct span bytes)
{
	struct tcp_chunk *k = tcp_chunk_new(bytes);
	if (k)
		tcp_write(c, k);
}
