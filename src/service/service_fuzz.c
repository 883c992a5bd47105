/* Requests of strangers: the first bytes choose method and origin, lines are path, query, headers; the rest is the body.
 * Nothing may crash, and no answer to one without credentials may hold the PIN's or a device's secret. */
#include "base/assert.h"
#include "service/service_world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct span line(struct span *rest)
{
	return span_cut(rest, '\n');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct world w;
	static bool ready;
	if (!ready) {
		world_init(&w);
		ready = true;
	}
	if (size < 2)
		return 0;
	/* a site of known content for each input */
	struct http_response rs = world_api(&w, HTTP_POST, "/api/v1/extensions", "{\"number\":\"201\",\"pin\":\"4071\"}", NULL);
	http_response_free(&rs);
	struct span rest = span_mem(data + 2, size - 2);
	struct http_request rq = {.method = (enum http_method)(data[0] % 7), .control = data[1] & 1, .tls = data[1] & 2, .now_us = w.now_us};
	rq.path = line(&rest);
	rq.query = line(&rest);
	rq.user_agent = line(&rest);
	rq.authorization = line(&rest);
	rq.if_match = line(&rest);
	rq.host = line(&rest);
	rq.body = rest;
	size_t limit = service_body_limit(w.s, &rq);
	if (rq.body.n > limit)
		rq.body.n = limit;
	service_handle(w.s, &rq, &rs);
	if (!rq.control)
		INVARIANT(rs.status >= 400);
	INVARIANT(rs.status >= 200 && rs.status < 600);
	http_response_free(&rs);
	/* the administrator may have grown the site: begin anew before it is large */
	if (site_extension_count(w.site) > 50 || site_device_count(w.site) > 50) {
		world_free(&w);
		world_init(&w);
	}
	return 0;
}
