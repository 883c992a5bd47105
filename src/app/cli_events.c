/* strowger events: what happens, as it happens, until the daemon ends or the reader is gone. */
#include "app/cli.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { LINE_MAX_BYTES = 4096 };

struct feed {
	bool json, up, refused;
	char line[LINE_MAX_BYTES], id[64], type[64];
	size_t n;
};

static void show_members(json_t *o)
{
	const char *key;
	json_t *v;
	json_object_foreach(o, key, v) {
		if (!strcmp(key, "time_ms"))
			continue;
		if (json_is_string(v) && !strpbrk(json_string_value(v), " \"")) {
			printf(" %s=%s", key, json_string_value(v));
		} else {
			char *text = json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY);
			printf(" %s=%s", key, text ? text : "");
			free(text);
		}
	}
}

static void show(const struct feed *f, const char *data)
{
	json_t *o = json_loads(data, 0, NULL);
	time_t s = (time_t)(json_integer_value(json_object_get(o, "time_ms")) / 1000);
	char when[32] = "-";
	struct tm tm;
	if (s > 0 && gmtime_r(&s, &tm))
		strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &tm);
	if (f->json) {
		json_t *whole = json_pack("{s:s,s:s,s:O?}", "id", f->id, "type", f->type, "data", o);
		char *text = whole ? json_dumps(whole, JSON_COMPACT) : NULL;
		puts(text ? text : "{}");
		free(text);
		json_decref(whole);
	} else {
		printf("%s %s", when, f->type);
		show_members(o);
		putchar('\n');
	}
	fflush(stdout);
	json_decref(o);
}

static void one_line(struct feed *f)
{
	if (!strncmp(f->line, "id: ", 4))
		snprintf(f->id, sizeof f->id, "%.*s", (int)sizeof f->id - 1, f->line + 4);
	else if (!strncmp(f->line, "event: ", 7))
		snprintf(f->type, sizeof f->type, "%.*s", (int)sizeof f->type - 1, f->line + 7);
	else if (!strncmp(f->line, "data: ", 6))
		show(f, f->line + 6);
	else if (!strncmp(f->line, "{\"error\"", 8))
		fprintf(stderr, "strowger: %s\n", f->line), f->refused = true;
}

static size_t take(char *p, size_t size, size_t n, void *ctx)
{
	struct feed *f = ctx;
	for (size_t i = 0; i < size * n; i++) {
		if (p[i] != '\n') {
			if (f->n < sizeof f->line - 1)
				f->line[f->n++] = p[i];
			continue;
		}
		f->line[f->n] = '\0';
		f->up = true;
		one_line(f);
		f->n = 0;
	}
	return ferror(stdout) ? 0 : size * n;
}

int cli_events(struct cli *c)
{
	char url[512], sock[512];
	struct feed f = {.json = c->json};
	const char *types = c->argc == 2 && !strcmp(c->argv[0], "--types") ? c->argv[1] : "";
	if (c->argc != 0 && !*types)
		return CLI_USAGE;
	CURL *h = curl_easy_init();
	if (!h)
		return CLI_FAILED;
	snprintf(url, sizeof url, "http://localhost/api/v1/%s%s%s", c->what, *types ? "?types=" : "", types);
	snprintf(sock, sizeof sock, "%s/control.sock", c->site);
	curl_easy_setopt(h, CURLOPT_UNIX_SOCKET_PATH, sock);
	curl_easy_setopt(h, CURLOPT_URL, url);
	curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, take);
	curl_easy_setopt(h, CURLOPT_WRITEDATA, &f);
	CURLcode e = curl_easy_perform(h);
	curl_easy_cleanup(h);
	if (f.refused || e == CURLE_WRITE_ERROR)
		return CLI_FAILED;
	if (f.up) /* however its end reached us */
		fprintf(stderr, "strowger: the daemon has ended\n");
	else
		fprintf(stderr, "strowger: no daemon answers on %s (%s)\n", sock, curl_easy_strerror(e));
	return CLI_UNREACHABLE;
}
