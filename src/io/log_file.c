#include "io/log_out.h"

#include "base/text.h"
#include "io/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static void put_time(struct text *t)
{
	int64_t us = wall_us();
	time_t s = us / 1000000;
	struct tm tm;
	gmtime_r(&s, &tm);
	text_fmt(t, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ ", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min,
		 tm.tm_sec, (int)(us % 1000000 / 1000));
}

size_t log_line(char *line, size_t cap, enum log_level level, const char *event, const struct log_field *f, size_t n)
{
	struct text t;
	do { /* a text_put that does not fit writes nothing: fewer fields, until they do */
		t = text_on(line, cap - 1);
		put_time(&t);
		log_format(&t, level, event, f, n);
	} while (t.over && n-- > 0);
	line[t.n++] = '\n';
	return t.n;
}

/* One write(2) for each line: lines of different threads do not mix, and no lock is held. */
static void to_stderr(struct log_sink *s, enum log_level level, const char *event, const struct log_field *f, size_t n)
{
	char line[LOG_LINE_MAX];
	(void)s;
	ssize_t put = write(STDERR_FILENO, line, log_line(line, sizeof line, level, event, f, n));
	(void)put;
}

struct log_sink *log_to_stderr(void)
{
	static struct log_sink sink = {to_stderr, LOG_DEBUG};
	return &sink;
}

/* ---- a file -------------------------------------------------------------------------------------------------- */

struct log_file {
	struct log_sink sink;
	pthread_mutex_t mu;
	int fd;
	uint64_t bytes, max_bytes;
	atomic_uint_fast64_t dropped;
	char path[PATH_MAX - 8];
};

static int open_it(struct log_file *l)
{
	struct stat st;
	int fd = open(l->path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (fd < 0)
		return -1;
	if (l->fd >= 0)
		close(l->fd);
	l->fd = fd;
	l->bytes = fstat(fd, &st) == 0 ? (uint64_t)st.st_size : 0;
	return 0;
}

static void rotate(struct log_file *l)
{
	char from[PATH_MAX + 16], to[PATH_MAX + 16];
	for (int i = LOG_FILES_KEPT - 1; i >= 0; i--) {
		snprintf(from, sizeof from, i ? "%s.%d" : "%s", l->path, i);
		snprintf(to, sizeof to, "%s.%d", l->path, i + 1);
		if (rename(from, to) != 0 && errno != ENOENT)
			break;
	}
	if (open_it(l) != 0) /* no descriptor, no right: the old file goes on, and is asked again after as much more */
		l->bytes = 0;
}

static void to_file(struct log_sink *s, enum log_level level, const char *event, const struct log_field *f, size_t n)
{
	struct log_file *l = (struct log_file *)s;
	char line[LOG_LINE_MAX];
	size_t bytes = log_line(line, sizeof line, level, event, f, n);
	pthread_mutex_lock(&l->mu);
	if (l->max_bytes && l->bytes + bytes > l->max_bytes && l->bytes)
		rotate(l);
	ssize_t put = write(l->fd, line, bytes);
	if (put > 0)
		l->bytes += (uint64_t)put;
	if (put != (ssize_t)bytes)
		atomic_fetch_add_explicit(&l->dropped, 1, memory_order_relaxed);
	pthread_mutex_unlock(&l->mu);
}

struct log_sink *log_to_file(const char *path, uint64_t max_bytes)
{
	struct log_file *l = calloc(1, sizeof *l);
	if (!l)
		return NULL;
	l->sink.write = to_file;
	l->fd = -1;
	l->max_bytes = max_bytes;
	if (!span_copyz(span_z(path), l->path, sizeof l->path))
		errno = ENAMETOOLONG;
	else if (open_it(l) == 0) {
		pthread_mutex_init(&l->mu, NULL);
		return &l->sink;
	}
	free(l);
	return NULL;
}

int log_file_reopen(struct log_sink *file)
{
	struct log_file *l = (struct log_file *)file;
	pthread_mutex_lock(&l->mu);
	int rc = open_it(l);
	pthread_mutex_unlock(&l->mu);
	return rc;
}

uint64_t log_file_dropped(const struct log_sink *file)
{
	return atomic_load_explicit(&((const struct log_file *)file)->dropped, memory_order_relaxed);
}

void log_file_close(struct log_sink *file)
{
	struct log_file *l = (struct log_file *)file;
	if (!l)
		return;
	close(l->fd);
	pthread_mutex_destroy(&l->mu);
	free(l);
}
