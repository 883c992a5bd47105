/* HTTP of the live phone: one request at a time, as the firmware does; credentials are the machine's, not libcurl's. */
#include "app/vphone_host.h"

#include <stdio.h>
#include <stdlib.h>

enum { BODY_MAX = 4 * 1024 * 1024 + 1 };

static size_t on_body(char *p, size_t size, size_t n, void *user)
{
	struct vh_http *x = user;
	size_t len = size * n;
	/* beyond what a configuration may be the rest is read and dropped: firmware images are large */
	if (x->body_n + len > BODY_MAX)
		return len;
	char *b = realloc(x->body, x->body_n + len + 1);
	if (!b)
		return 0;
	memcpy(b + x->body_n, p, len);
	x->body = b;
	x->body_n += len;
	return len;
}

static size_t on_header(char *p, size_t size, size_t n, void *user)
{
	struct vh_http *x = user;
	struct span line = span_mem(p, size * n), name = SPAN_LIT("www-authenticate:");
	if (!span_istarts(line, name))
		return line.n;
	struct span value = span_trim(span_sub(line, name.n, line.n));
	char *c = realloc(x->challenge, x->challenge_n + value.n + 2);
	if (!c)
		return line.n;
	if (x->challenge_n)
		c[x->challenge_n++] = '\n';
	memcpy(c + x->challenge_n, value.p, value.n);
	x->challenge = c;
	x->challenge_n += value.n;
	return line.n;
}

static char *copyz(struct span s)
{
	char *z = malloc(s.n + 1);
	if (z) {
		memcpy(z, s.p ? s.p : "", s.n);
		z[s.n] = 0;
	}
	return z;
}

static void set_interface(struct vhost *h, CURL *e)
{
	char ip[64], name[80];
	struct text t = TEXT_ARRAY(ip);
	addr_put_ip(&t, &h->o.phone.ip);
	text_end(&t);
	snprintf(name, sizeof name, "host!%s", ip);
	curl_easy_setopt(e, CURLOPT_INTERFACE, name);
}

void vh_http_start(struct vhost *h, const struct vphone_out *o)
{
	struct vh_http *x = &h->http;
	char *url = copyz(o->http_url), *ua = copyz(o->http_user_agent), auth[1024];
	vh_http_close(h);
	CURL *e = curl_easy_init();
	x->id = o->http_id;
	x->easy = e;
	if (!e || !url || !ua) {
		free(url);
		free(ua);
		return;
	}
	curl_easy_setopt(e, CURLOPT_URL, url);
	curl_easy_setopt(e, CURLOPT_USERAGENT, ua);
	free(url);
	free(ua);
	if (o->http_authorization.n) {
		snprintf(auth, sizeof auth, "Authorization: " SPAN_FMT, SPAN_ARG(o->http_authorization));
		x->headers = curl_slist_append(x->headers, auth);
	}
	if (o->http_method[0] == 'H')
		curl_easy_setopt(e, CURLOPT_NOBODY, 1L);
	if (o->http_method[0] == 'P') {
		x->headers = curl_slist_append(x->headers, "Content-Type: text/plain");
		curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE, (long)o->bytes.n);
		curl_easy_setopt(e, CURLOPT_COPYPOSTFIELDS, o->bytes.p ? o->bytes.p : "");
		curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, "PUT");
	}
	curl_easy_setopt(e, CURLOPT_HTTPHEADER, x->headers);
	curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(e, CURLOPT_WRITEDATA, x);
	curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(e, CURLOPT_HEADERDATA, x);
	curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(e, CURLOPT_PROXY, "");
	curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT, 5L);
	curl_easy_setopt(e, CURLOPT_TIMEOUT, 60L);
	if (h->o.insecure) {
		curl_easy_setopt(e, CURLOPT_SSL_VERIFYPEER, 0L);
		curl_easy_setopt(e, CURLOPT_SSL_VERIFYHOST, 0L);
	}
	set_interface(h, e);
	if (h->o.trace)
		fprintf(stderr, "{\"http\":\"%s\",\"url\":\"" SPAN_FMT "\"}\n", o->http_method, SPAN_ARG(o->http_url));
	curl_multi_add_handle(h->multi, e);
}

void vh_http_close(struct vhost *h)
{
	struct vh_http *x = &h->http;
	if (x->easy) {
		curl_multi_remove_handle(h->multi, x->easy);
		curl_easy_cleanup(x->easy);
	}
	curl_slist_free_all(x->headers);
	free(x->body);
	free(x->challenge);
	*x = (struct vh_http){0};
}

static void done(struct vhost *h, CURLcode rc)
{
	struct vh_http x = h->http;
	long status = 0;
	if (rc == CURLE_OK)
		curl_easy_getinfo(x.easy, CURLINFO_RESPONSE_CODE, &status);
	else
		fprintf(stderr, "vphone: HTTP: %s\n", curl_easy_strerror(rc));
	curl_multi_remove_handle(h->multi, x.easy);
	curl_easy_cleanup(x.easy);
	curl_slist_free_all(x.headers);
	h->http = (struct vh_http){0}; /* the phone may start the next from within */
	struct vphone_in in = {.kind = VP_IN_HTTP, .http_id = x.id, .http_status = (int)status, .bytes = span_mem(x.body, x.body_n),
		.www_authenticate = span_mem(x.challenge, x.challenge_n)};
	if (h->o.trace)
		fprintf(stderr, "{\"http_status\":%ld,\"bytes\":%zu}\n", status, x.body_n);
	vh_step(h, &in);
	free(x.body);
	free(x.challenge);
}

void vh_http_poll(struct vhost *h)
{
	int running, left;
	if (!h->http.easy)
		return;
	curl_multi_perform(h->multi, &running);
	CURLMsg *m = curl_multi_info_read(h->multi, &left);
	if (m && m->msg == CURLMSG_DONE && m->easy_handle == h->http.easy)
		done(h, m->data.result);
}
