#include "app/strowgerd.h"

#include "base/text.h"
#include "io/clock.h"

#include <stdarg.h>
#include <stdio.h>
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

/* One write(2) for each line: lines of different threads do not mix, and no lock is held. */
static void write_line(struct log_sink *s, enum log_level level, const char *event, const struct log_field *f, size_t n)
{
	char line[2048];
	struct text t = text_on(line, sizeof line - 1);
	(void)s;
	put_time(&t);
	log_format(&t, level, event, f, n);
	if (t.over) { /* a text_put that does not fit writes nothing: at least the event is told */
		t = text_on(line, sizeof line - 1);
		put_time(&t);
		log_format(&t, level, event, NULL, 0);
	}
	line[t.n++] = '\n';
	ssize_t put = write(STDERR_FILENO, line, t.n);
	(void)put;
}

struct log_sink *log_stderr(enum log_level min)
{
	static struct log_sink sink = {write_line, LOG_INFO};
	sink.min = min;
	return &sink;
}

void complain(const char *fmt, ...)
{
	char line[1024];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(line, sizeof line, fmt, ap);
	va_end(ap);
	fprintf(stderr, "strowgerd: %s\n", line);
}
