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
	static _Thread_local time_t known; /* the second that `shown` shows */
	static _Thread_local char shown[24];
	int64_t us = wall_us();
	time_t s = us / 1000000;
	struct tm tm;
	if (s != known) {
		struct text d = TEXT_ARRAY(shown);
		gmtime_r(&s, &tm);
		text_fmt(&d, "%04d-%02d-%02dT%02d:%02d:%02d.", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
		text_end(&d);
		known = s;
	}
	int ms = (int)(us % 1000000 / 1000);
	const char z[] = {(char)('0' + ms / 100), (char)('0' + ms / 10 % 10), (char)('0' + ms % 10), 'Z', ' '};
	text_z(t, shown);
	text_put(t, span_mem(z, sizeof z));
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

/* ---- lines that wait (log_hold) ---------------------------------------------------------------------------------- */

typedef void out_fn(struct log_sink *s, const char *lines, size_t n);

static _Thread_local struct {
	char *mem; /* NULL: this thread holds nothing back */
	size_t n;
	struct log_sink *to;
	out_fn *out;
} held;

void log_hold(void)
{
	if (!held.mem)
		held.mem = malloc(LOG_HELD_MAX);
}

void log_release(void)
{
	if (held.n)
		held.out(held.to, held.mem, held.n);
	held.n = 0;
}

void log_hold_end(void)
{
	log_release();
	free(held.mem);
	held.mem = NULL;
}

static void write_line(struct log_sink *s, out_fn *out, enum log_level level, const char *event, const struct log_field *f, size_t n)
{
	char line[LOG_LINE_MAX];
	size_t bytes = log_line(line, sizeof line, level, event, f, n);
	if (!held.mem) {
		out(s, line, bytes);
		return;
	}
	if (held.to != s || held.n + bytes > LOG_HELD_MAX)
		log_release();
	held.to = s;
	held.out = out;
	memcpy(held.mem + held.n, line, bytes);
	held.n += bytes;
	if (level >= LOG_WARN)
		log_release();
}

/* One write(2) for whole lines: those of different threads do not mix, and no lock is held. */
static void out_stderr(struct log_sink *s, const char *lines, size_t n)
{
	(void)s;
	ssize_t put = write(STDERR_FILENO, lines, n);
	(void)put;
}

static void to_stderr(struct log_sink *s, enum log_level level, const char *event, const struct log_field *f, size_t n)
{
	write_line(s, out_stderr, level, event, f, n);
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

static uint64_t lines_in(const char *p, size_t n)
{
	uint64_t lines = 0;
	for (size_t i = 0; i < n; i++)
		lines += p[i] == '\n';
	return lines;
}

static void out_file(struct log_sink *s, const char *lines, size_t bytes)
{
	struct log_file *l = (struct log_file *)s;
	pthread_mutex_lock(&l->mu);
	if (l->max_bytes && l->bytes + bytes > l->max_bytes && l->bytes)
		rotate(l);
	ssize_t put = write(l->fd, lines, bytes);
	size_t done = put > 0 ? (size_t)put : 0;
	l->bytes += done;
	if (done < bytes)
		atomic_fetch_add_explicit(&l->dropped, lines_in(lines + done, bytes - done), memory_order_relaxed);
	pthread_mutex_unlock(&l->mu);
}

static void to_file(struct log_sink *s, enum log_level level, const char *event, const struct log_field *f, size_t n)
{
	write_line(s, out_file, level, event, f, n);
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
