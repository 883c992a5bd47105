#include "edge/http_stream.h"

#include "edge/limits.h"

#include <microhttpd.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>

enum { PIECE = 8192 };

struct stream {
	struct http_streams *all;
	struct stream *next, *prev;
	const atomic_bool *ends; /* its server's */
	struct MHD_Connection *conn;
	struct http_source source;
	bool asleep;
};

struct http_streams {
	pthread_mutex_t mu;
	struct stream *first;
	uint64_t wakes;
};

struct http_streams *http_streams_new(void)
{
	struct http_streams *s = calloc(1, sizeof *s);
	if (s)
		pthread_mutex_init(&s->mu, NULL);
	return s;
}

void http_streams_free(struct http_streams *s)
{
	if (!s)
		return;
	pthread_mutex_destroy(&s->mu);
	free(s);
}

/* Under mu. */
static void rouse(struct stream *k)
{
	if (!k->asleep)
		return;
	k->asleep = false;
	MHD_resume_connection(k->conn);
}

void http_streams_wake(struct http_streams *s)
{
	pthread_mutex_lock(&s->mu);
	s->wakes++;
	for (struct stream *k = s->first; k; k = k->next)
		rouse(k);
	pthread_mutex_unlock(&s->mu);
}

void http_streams_end(struct http_streams *s, const atomic_bool *ends)
{
	pthread_mutex_lock(&s->mu);
	for (struct stream *k = s->first; k; k = k->next)
		if (k->ends == ends)
			rouse(k);
	pthread_mutex_unlock(&s->mu);
}

/* The server's thread. Nothing to say and nobody woke us since we asked: to sleep. */
static ssize_t on_read(void *cls, uint64_t pos, char *buf, size_t max)
{
	struct stream *k = cls;
	struct http_streams *s = k->all;
	(void)pos;
	for (;;) {
		pthread_mutex_lock(&s->mu);
		uint64_t wakes = s->wakes;
		pthread_mutex_unlock(&s->mu);
		ptrdiff_t n = atomic_load(k->ends) ? -1 : k->source.read(k->source.ctx, buf, max);
		if (n != 0)
			return n < 0 ? MHD_CONTENT_READER_END_OF_STREAM : n;
		pthread_mutex_lock(&s->mu);
		bool sleep = wakes == s->wakes && !atomic_load(k->ends);
		if (sleep) {
			k->asleep = true;
			MHD_suspend_connection(k->conn);
		}
		pthread_mutex_unlock(&s->mu);
		if (sleep)
			return 0;
	}
}

static void on_free(void *cls)
{
	struct stream *k = cls;
	struct http_streams *s = k->all;
	pthread_mutex_lock(&s->mu);
	*(k->prev ? &k->prev->next : &s->first) = k->next;
	if (k->next)
		k->next->prev = k->prev;
	pthread_mutex_unlock(&s->mu);
	k->source.close(k->source.ctx);
	free(k);
}

struct MHD_Response *http_stream_response(struct http_streams *s, const atomic_bool *ends, struct MHD_Connection *c, const struct http_source *source)
{
	struct stream *k = s ? calloc(1, sizeof *k) : NULL;
	if (!k)
		return NULL;
	*k = (struct stream){.all = s, .ends = ends, .conn = c, .source = *source};
	const union MHD_ConnectionInfo *fd = MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);
	int room = HTTP_STREAM_SNDBUF;
	if (fd) /* the kernel would keep megabytes for a reader that does not read; as it is, HTTP_IDLE_S without progress end it soon */
		(void)setsockopt(fd->connect_fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
	struct MHD_Response *r = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, PIECE, on_read, k, on_free);
	if (!r) {
		free(k);
		return NULL;
	}
	pthread_mutex_lock(&s->mu);
	k->next = s->first;
	if (s->first)
		s->first->prev = k;
	s->first = k;
	pthread_mutex_unlock(&s->mu);
	return r;
}
