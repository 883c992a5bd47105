#include "app/cli.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct buffer {
	char *p;
	size_t n;
};

static size_t take(char *p, size_t size, size_t n, void *ctx)
{
	struct buffer *b = ctx;
	char *q = realloc(b->p, b->n + size * n + 1);
	if (!q)
		return 0;
	memcpy(q + b->n, p, size * n);
	b->p = q;
	b->n += size * n;
	b->p[b->n] = 0;
	return size * n;
}

static void explain(const json_t *v, long status)
{
	const json_t *e = json_object_get(v, "error");
	const char *what = json_string_value(json_object_get(e, "what"));
	const char *where = json_string_value(json_object_get(e, "where"));
	const char *mend = json_string_value(json_object_get(e, "mend"));
	if (what)
		fprintf(stderr, "strowger: %s%s%s%s\n", where && *where ? where : "", where && *where ? ": " : "", what, "");
	else
		fprintf(stderr, "strowger: the daemon answered %ld\n", status);
	if (mend && *mend)
		fprintf(stderr, "  mend: %s\n", mend);
}

int cli_request(struct cli *c, const char *method, const char *path, json_t *body, json_t **out)
{
	char url[512], sock[512];
	struct buffer b = {0};
	char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
	CURL *h = curl_easy_init();
	long status = 0;
	int rc = CLI_FAILED;
	json_decref(body);
	*out = NULL;
	if (!h) {
		free(text);
		return CLI_FAILED;
	}
	snprintf(url, sizeof url, "http://localhost/api/v1/%s", path);
	snprintf(sock, sizeof sock, "%s/control.sock", c->site);
	struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
	headers = curl_slist_append(headers, "Expect:");
	headers = curl_slist_append(headers, "If-Match: *"); /* who types a command has just decided, and names what is to change */
	curl_easy_setopt(h, CURLOPT_UNIX_SOCKET_PATH, sock);
	curl_easy_setopt(h, CURLOPT_URL, url);
	curl_easy_setopt(h, CURLOPT_CUSTOMREQUEST, method);
	curl_easy_setopt(h, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(h, CURLOPT_TIMEOUT, 15L);
	curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, take);
	curl_easy_setopt(h, CURLOPT_WRITEDATA, &b);
	if (text)
		curl_easy_setopt(h, CURLOPT_POSTFIELDS, text);
	CURLcode e = curl_easy_perform(h);
	curl_easy_getinfo(h, CURLINFO_RESPONSE_CODE, &status);
	if (e != CURLE_OK) {
		fprintf(stderr, "strowger: no daemon answers on %s (%s)\n  mend: start it with ./run or strowgerd --site %s, or name its folder with --site DIR\n",
			sock, curl_easy_strerror(e), c->site);
		rc = CLI_UNREACHABLE;
	} else {
		*out = b.n ? json_loads(b.p, JSON_DECODE_ANY, NULL) : NULL;
		if (status >= 200 && status < 300) {
			rc = CLI_OK;
		} else {
			explain(*out, status);
			rc = status == 404 ? CLI_NOT_FOUND : CLI_FAILED;
		}
	}
	curl_slist_free_all(headers);
	curl_easy_cleanup(h);
	if (text)
		memset(text, 0, strlen(text)); /* may have held a PIN */
	free(text);
	free(b.p);
	return rc;
}
