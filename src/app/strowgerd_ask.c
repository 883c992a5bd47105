/* Questions of HTTP threads to the cell: each waits at a place of the desk until the cell answers or 2 s are over. */
#include "app/strowgerd.h"

#include "io/clock.h"
#include "io/thread.h"

#include <stdlib.h>

enum { PLACES = 64, WAIT_US = 2000000 };

struct place {
	uint64_t token; /* 0: free; of a question that was given up an answer finds no place */
	bool answered;
	uint16_t status;
	char *json;
	size_t n;
	uint64_t next_cursor;
	pthread_cond_t cond;
};

struct ask_desk {
	pthread_mutex_t mu;
	uint64_t questions;
	struct place place[PLACES];
};

struct ask_desk *ask_new(void)
{
	struct ask_desk *d = calloc(1, sizeof *d);
	if (!d)
		return NULL;
	pthread_mutex_init(&d->mu, NULL);
	for (size_t i = 0; i < PLACES; i++)
		if (thread_cond_init(&d->place[i].cond) != 0) {
			free(d);
			return NULL;
		}
	return d;
}

void ask_free(struct ask_desk *d)
{
	if (!d)
		return;
	for (size_t i = 0; i < PLACES; i++)
		pthread_cond_destroy(&d->place[i].cond);
	pthread_mutex_destroy(&d->mu);
	free(d);
}

static struct place *sit_down(struct ask_desk *d)
{
	for (size_t i = 0; i < PLACES; i++) {
		struct place *p = &d->place[i];
		if (p->token == 0) {
			p->token = ++d->questions * PLACES + i;
			p->answered = false;
			p->json = NULL;
			return p;
		}
	}
	return NULL;
}

void ask_answered(void *desk, uint64_t token, uint16_t status, struct span json, uint64_t next_cursor)
{
	struct ask_desk *d = desk;
	struct place *p = &d->place[token % PLACES];
	pthread_mutex_lock(&d->mu);
	if (p->token == token && !p->answered) {
		p->json = malloc(json.n + 1);
		p->n = p->json ? json.n : 0;
		if (p->json)
			memcpy(p->json, json.n ? json.p : "", json.n);
		p->status = p->json ? status : 500;
		p->next_cursor = next_cursor;
		p->answered = true;
		pthread_cond_signal(&p->cond);
	}
	pthread_mutex_unlock(&d->mu);
}

static int append(char **json, size_t *n, const char *more, size_t more_n)
{
	char *mem = realloc(*json, *n + more_n + 1);
	if (!mem)
		return 500;
	if (more_n)
		memcpy(mem + *n, more, more_n);
	*json = mem;
	*n += more_n;
	mem[*n] = '\0';
	return 0;
}

int ask(struct ask_desk *d, struct cell_host *h, enum cell_query_kind kind, uint64_t cursor, uint32_t limit, struct span arg,
	char **json, size_t *n, uint64_t *next_cursor)
{
	struct cell_msg m = {.kind = MSG_QUERY, .query = kind, .cursor = cursor, .limit = limit, .arg_n = (uint8_t)arg.n};
	if (arg.n > sizeof m.arg)
		return 400;
	if (arg.n)
		memcpy(m.arg, arg.p, arg.n);
	int64_t until = mono_us() + WAIT_US;
	int status = 504;
	pthread_mutex_lock(&d->mu);
	struct place *p = sit_down(d);
	if (!p) {
		pthread_mutex_unlock(&d->mu);
		return 503;
	}
	m.token = p->token;
	pthread_mutex_unlock(&d->mu);
	bool sent = cell_host_post(h, &m);
	pthread_mutex_lock(&d->mu);
	while (sent && !p->answered && thread_cond_wait_until(&p->cond, &d->mu, until))
		;
	if (p->answered) {
		status = p->status;
		*next_cursor = p->next_cursor;
		if (p->json && append(json, n, p->json, p->n) != 0)
			status = 500;
		free(p->json);
	}
	p->token = 0;
	pthread_mutex_unlock(&d->mu);
	return status;
}
