/* /metrics: its own small server on loopback. */
#include "app/strowgerd.h"
#include "app/strowgerd_metrics.h"

#include "io/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { TEXT_MAX = 256 * 1024 };

static int64_t resident_bytes(void)
{
	long long pages = 0, resident = -1;
	FILE *f = fopen("/proc/self/statm", "re");
	if (f && fscanf(f, "%lld %lld", &pages, &resident) != 2)
		resident = -1;
	if (f)
		fclose(f);
	return resident < 0 ? -1 : resident * sysconf(_SC_PAGESIZE);
}

static void answer(const struct metrics_server *s, struct http_response *rs)
{
	struct metrics_view v = {.limits = cell_limits_default, .media_slots = s->media_slots, .max_streams = s->max_streams,
				 .now_us = mono_us(), .rss_bytes = resident_bytes()};
	char *mem = malloc(TEXT_MAX);
	struct text t = text_on(mem, mem ? TEXT_MAX : 0);
	cell_host_view(s->host, &v);
	v.tcp = sip_tcp_counts(s->tcp);
	v.tls = sip_tcp_counts(s->tls);
	media_counts(s->media, &v.media);
	v.store = store_stats_of(s->store);
	v.hep = hep_counts(s->hep);
	v.log_dropped = logs_dropped(s->logs);
	struct site *site = world_site(s->world);
	v.extensions = site_extension_count(site);
	v.devices = site_device_count(site);
	site_unref(site);
	metrics_render(s->metrics, &v, &t);
	if (t.over) {
		free(mem);
		http_text(rs, 503, "No memory for the metrics.\n");
		return;
	}
	http_body(rs, 200, "text/plain; version=0.0.4; charset=utf-8", mem, t.n);
}

static size_t no_body(void *ctx, const struct http_request *rq)
{
	(void)ctx, (void)rq;
	return 0;
}

static void handle(void *ctx, const struct http_request *rq, struct http_response *rs)
{
	*rs = (struct http_response){.status = 404};
	if (!span_eqz(rq->path, "/metrics"))
		http_text(rs, 404, "There is /metrics here, nothing else.\n");
	else if (rq->method != HTTP_GET && rq->method != HTTP_HEAD)
		http_text(rs, 405, "Metrics are read with GET.\n");
	else
		answer(ctx, rs);
}

struct http_server *metrics_serve(struct metrics_server *s, int listen_fd)
{
	struct http_opts o = {.listen_fd = listen_fd, .threads = 1, .handler = {s, no_body, handle}, .log = logs_sink(s->logs), .max_conns = 16,
			      .max_conns_per_ip = 16};
	return http_start(&o);
}
