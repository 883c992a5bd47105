/* Reading: bytes are gathered until a message is whole, then it crosses to the cell. */
#include "edge/sip_tcp_internal.h"

#include "sip/msg/build.h"

#include <stdlib.h>
#include <sys/socket.h>

static int64_t limit(int64_t given, int64_t seconds)
{
	return given ? given : seconds * 1000000;
}

void tcp_set_timer(struct tcp_conn *c)
{
	struct sip_tcp *s = c->owner;
	int64_t at;
	if (c->state == TCP_CONNECTING)
		at = c->heard_us + (int64_t)TCP_CONNECT_S * 1000000;
	else if (c->closing)
		at = s->loop.now_us + 2000000;
	else if (!c->proven)
		at = c->heard_us + limit(s->o.first_message_us, TCP_FIRST_MESSAGE_S); /* heard_us stays at the accept */
	else if (c->message_began_us)
		at = c->message_began_us + limit(s->o.rest_of_message_us, TCP_REST_OF_MESSAGE_S);
	else
		at = c->heard_us + limit(s->o.idle_us, TCP_IDLE_S);
	wheel_set(&s->wheel, &c->timer, at);
}

static bool room_for_more(struct tcp_conn *c)
{
	if (c->in_n < c->in_cap)
		return true;
	if (c->in_cap >= TCP_MAX_MESSAGE)
		return false;
	uint32_t cap = c->in_cap ? c->in_cap * 4 : TCP_FIRST_BUFFER;
	if (cap > TCP_MAX_MESSAGE)
		cap = TCP_MAX_MESSAGE;
	char *mem = realloc(c->in, cap);
	if (!mem)
		return false;
	c->in = mem;
	c->in_cap = cap;
	return true;
}

/* Framing is lost: whoever sent it is told once, when enough can be read to address the answer, and the rest of the
 * stream has no meaning any more (RFC 3261 18.3, 18.1.1). */
static void refuse(struct tcp_conn *c, struct span have)
{
	static _Thread_local struct sip_msg m;
	struct sip_error err = {0};
	struct sip_build b;
	char buf[2048];
	bool too_large = have.n >= TCP_MAX_MESSAGE;
	ptrdiff_t end = span_find(have, SPAN_LIT("\r\n\r\n"));
	struct span head = end < 0 ? have : span_sub(have, 0, (size_t)end + 4);
	tcp_count(&c->owner->broken);
	log_event(c->owner->o.log, LOG_INFO, "tcp.broken_framing", LOG_I("conn", c->flow.conn), LOG_I("bytes", have.n));
	bool readable = sip_parse(&m, head, &err) == 0 || err.answerable;
	c->closing = true;
	if (readable && m.is_request && m.method != SIP_ACK) {
		b.t = TEXT_ARRAY(buf);
		sip_reply_begin(&b, &m, &c->flow, too_large ? 513 : 400, too_large ? NULL : "Bad Content-Length", SPAN_LIT("broken"));
		if (sip_finish(&b, NULL, SPAN_NONE)) {
			uint32_t number = c->flow.conn;
			struct sip_tcp *s = c->owner;
			tcp_write_bytes(c, text_span(&b.t));
			c = tcp_table_get(s, number); /* a failed write closes */
		}
	}
	if (c && !c->out) {
		shutdown(c->watch.fd, SHUT_WR);
		tcp_table_close(c->owner, c, true);
	} else if (c) {
		tcp_watch(c);
		tcp_set_timer(c);
	}
}

static void used_up(struct tcp_conn *c, size_t n)
{
	c->in_at += (uint32_t)n;
	c->message_began_us = 0;
	c->framer = (struct sip_framer){0};
}

/* Once for each reading, not for each message: thousands of tiny pings must not cost a copy of the rest each. */
static void compact(struct tcp_conn *c)
{
	c->in_n -= c->in_at;
	if (c->in_at && c->in_n)
		memmove(c->in, c->in + c->in_at, c->in_n);
	c->in_at = 0;
}

static void pause_reading(struct tcp_conn *c)
{
	struct sip_tcp *s = c->owner;
	if (!c->paused) {
		c->paused = true;
		s->n_paused++;
		tcp_watch(c);
	}
	if (!timer_is_set(&s->retry))
		wheel_set(&s->wheel, &s->retry, s->loop.now_us + 5000);
}

/* One message to the cell. False: it must wait. */
static bool hand_over(struct tcp_conn *c, size_t n)
{
	char *mem = malloc(n);
	if (!mem)
		return false;
	memcpy(mem, c->in + c->in_at, n);
	if (tcp_tell(c->owner, &c->flow, mem, (uint32_t)n))
		return true;
	free(mem);
	return false;
}

enum next { NEXT_AGAIN, NEXT_READ, NEXT_STOP };

static enum next cut_one(struct tcp_conn *c)
{
	struct sip_tcp *s = c->owner;
	struct span have = {c->in + c->in_at, c->in_n - c->in_at};
	size_t used = 0;
	switch (sip_frame(&c->framer, have, TCP_MAX_MESSAGE, &used)) {
	case SIP_FRAME_MORE:
		if (have.n < TCP_MAX_MESSAGE)
			return NEXT_READ;
		refuse(c, have);
		return NEXT_STOP;
	case SIP_FRAME_MESSAGE:
		tcp_table_prove(s, c); /* before the cell hears of it: it must hear of the close, too */
		if (!hand_over(c, used)) {
			c->framer = (struct sip_framer){0};
			compact(c);
			pause_reading(c);
			return NEXT_STOP;
		}
		tcp_count(&s->rx);
		c->heard_us = s->loop.now_us;
		used_up(c, used);
		return NEXT_AGAIN;
	case SIP_FRAME_PING: {
		uint32_t number = c->flow.conn;
		tcp_count(&s->pings);
		if (c->proven)
			c->heard_us = s->loop.now_us;
		used_up(c, used);
		tcp_write_bytes(c, SPAN_LIT("\r\n")); /* RFC 5626 4.4.1 */
		return tcp_table_get(s, number) ? NEXT_AGAIN : NEXT_STOP;
	}
	case SIP_FRAME_SKIP:
		used_up(c, used);
		return NEXT_AGAIN;
	case SIP_FRAME_BROKEN:
		refuse(c, have);
		return NEXT_STOP;
	}
	return NEXT_STOP;
}

/* Cuts what is buffered. False: the connection is gone, paused or closing. */
static bool cut(struct tcp_conn *c)
{
	while (c->in_at < c->in_n) {
		switch (cut_one(c)) {
		case NEXT_AGAIN:
			break;
		case NEXT_READ:
			if (!c->message_began_us)
				c->message_began_us = c->owner->loop.now_us;
			compact(c);
			return true;
		case NEXT_STOP:
			return false;
		}
	}
	free(c->in); /* between messages a connection costs nothing */
	c->in = NULL;
	c->in_cap = c->in_n = c->in_at = 0;
	c->message_began_us = 0;
	return true;
}

void tcp_read(struct tcp_conn *c)
{
	for (int i = 0; i < TCP_PER_TURN; i++) {
		if (!room_for_more(c)) {
			tcp_table_close(c->owner, c, true);
			return;
		}
		uint32_t want = c->in_cap - c->in_n;
		size_t n = 0;
		enum tcp_io io = tcp_recv(c, c->in + c->in_n, want, &n);
		if (io == TCP_IO_AGAIN)
			break;
		if (io == TCP_IO_GONE) {
			tcp_table_close(c->owner, c, true);
			return;
		}
		c->in_n += (uint32_t)n;
		if (!cut(c))
			return;
		if (!c->tls && n < want)
			break;
	}
	if (c->tls && tls_pending(c->tls)) /* decrypted already: the socket will not tell of it */
		pause_reading(c);
	tcp_set_timer(c);
}

void tcp_resume(struct tcp_conn *c)
{
	c->paused = false;
	c->owner->n_paused--;
	if (!cut(c))
		return;
	tcp_watch(c);
	if (c->tls && tls_pending(c->tls))
		tcp_read(c);
	else
		tcp_set_timer(c);
}
