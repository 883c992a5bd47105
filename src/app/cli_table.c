#include "app/cli.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MAX_COLUMNS = 24 };

/* What people want to see of a collection; --json has everything. */
static const struct { const char *what; const char *columns[12]; } views[] = {
	{"cdr", {"start_ms", "caller", "callee", "extension", "leg_no", "ring_ms", "talk_ms", "cause", "sip_status", "codec", "mos_x100", NULL}},
	{"audit", {"id", "wall_ms", "actor", "source", "what", "entity", "key", "revision", "changes", NULL}},
	{"extensions", {"number", "name", "enabled", "sip_device", "media", "ring_s", "has_pin", NULL}},
	{"phones", {"number", "status", "type", "model", "firmware", "mac", "address", "last_seen_ms", NULL}},
	{"registrations", {"extension", "source", "contact", "user_agent", "expires_s", NULL}},
	{"calls", {"id", "state", "caller", "callee", "seconds", "talk_seconds", "direct_media", NULL}},
	{"tokens", {"name", "scope", "expires_on", NULL}},
	{"devices", {"id", "extension", "kind", "mac", "model", "firmware", "bound_by", NULL}},
};

static const char *const *view_of(const char *what)
{
	for (size_t i = 0; what && i < sizeof views / sizeof views[0]; i++)
		if (!strcmp(views[i].what, what))
			return views[i].columns;
	return NULL;
}

/* Wall clock values (milliseconds since 1970) as local time, durations as they are. */
static const char *time_text(const char *key, const json_t *v, char *buf, size_t cap)
{
	time_t t = (time_t)(json_integer_value(v) / 1000);
	struct tm tm;
	if (!json_is_integer(v) || (strcmp(key, "start_ms") != 0 && strcmp(key, "last_seen_ms") != 0 && strcmp(key, "registered_ms") != 0 && strcmp(key, "wall_ms") != 0))
		return NULL;
	if (t <= 0 || !localtime_r(&t, &tm) || strftime(buf, cap, "%Y-%m-%d %H:%M:%S", &tm) == 0)
		return "";
	return buf;
}

static const char *cell_text(const char *key, const json_t *v, char *buf, size_t cap)
{
	const char *t = time_text(key, v, buf, cap);
	if (t)
		return t;
	if (json_is_string(v))
		return json_string_value(v);
	if (json_is_integer(v))
		snprintf(buf, cap, "%lld", (long long)json_integer_value(v));
	else if (json_is_real(v))
		snprintf(buf, cap, "%.2f", json_real_value(v));
	else if (json_is_boolean(v))
		return json_is_true(v) ? "yes" : "no";
	else
		snprintf(buf, cap, "%s", json_is_object(v) || json_is_array(v) ? "..." : "");
	return buf;
}

/* Control characters of names must not reach a terminal. */
static void print_padded(const char *s, size_t width)
{
	size_t n = 0;
	for (; *s; s++, n += ((unsigned char)*s & 0xc0) != 0x80)
		putchar((unsigned char)*s < 0x20 || *s == 0x7f ? '?' : *s);
	for (; n < width; n++)
		putchar(' ');
}

static void print_object(const json_t *v)
{
	const char *key;
	json_t *value;
	char buf[64];
	json_object_foreach((json_t *)(uintptr_t)v, key, value)
	{
		print_padded(key, 22);
		print_padded(cell_text(key, value, buf, sizeof buf), 0);
		putchar('\n');
	}
}

static void print_rows(const char *what, const json_t *rows)
{
	const char *col[MAX_COLUMNS];
	size_t width[MAX_COLUMNS], n = 0, i;
	const char *key;
	json_t *row, *value;
	char buf[64];
	const char *const *view = view_of(what);
	for (; view && view[n]; n++) {
		col[n] = view[n];
		width[n] = strlen(view[n]);
	}
	json_array_foreach(rows, i, row)
	{
		json_object_foreach(row, key, value)
		{
			size_t k = 0;
			while (k < n && strcmp(col[k], key) != 0)
				k++;
			if (k == MAX_COLUMNS || (view && k == n))
				continue;
			if (k == n) {
				col[n] = key;
				width[n++] = strlen(key);
			}
			size_t w = strlen(cell_text(key, value, buf, sizeof buf));
			width[k] = w > width[k] ? w : width[k];
		}
	}
	for (size_t k = 0; k < n; k++)
		print_padded(col[k], width[k] + 2);
	putchar('\n');
	json_array_foreach(rows, i, row)
	{
		for (size_t k = 0; k < n; k++)
			print_padded(cell_text(col[k], json_object_get(row, col[k]), buf, sizeof buf), k + 1 < n ? width[k] + 2 : 0);
		putchar('\n');
	}
}

void cli_print(const struct cli *c, const json_t *v)
{
	if (!v)
		return;
	if (c->json) {
		json_dumpf(v, stdout, JSON_INDENT(1) | JSON_ENCODE_ANY);
		putchar('\n');
	} else if (json_is_array(v)) {
		if (json_array_size(v) == 0)
			puts("none");
		else
			print_rows(c->what, v);
	} else if (json_is_object(v)) {
		print_object(v);
	}
}
