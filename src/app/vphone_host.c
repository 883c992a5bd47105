/* The live phone: turns of the loop, outputs to sockets, flash on disk, the log. */
#include "app/vphone_host.h"

#include "io/clock.h"
#include "io/file.h"
#include "io/random.h"

#include <stdio.h>
#include <stdlib.h>

static void note(struct vhost *h, const struct vphone_out *o)
{
	struct vh_event *e = &h->event[h->n_events++ % VH_EVENTS];
	snprintf(e->name, sizeof e->name, SPAN_FMT, SPAN_ARG(o->event));
	snprintf(e->detail, sizeof e->detail, SPAN_FMT, SPAN_ARG(o->detail));
	if (span_eqz(o->event, "status"))
		h->last_status = atoi(e->detail);
}

static void print(struct vhost *h, const struct vphone_out *o, const char *key)
{
	char line[1024];
	struct text t = TEXT_ARRAY(line);
	double at = (double)(mono_us() - h->start_us) / 1e6;
	if (h->o.json) {
		text_fmt(&t, "{\"t\":%.3f,\"%s\":", at, key);
		text_json(&t, o->event);
		text_lit(&t, ",\"detail\":");
		text_json(&t, o->detail);
		text_lit(&t, "}\n");
	} else {
		text_fmt(&t, "%8.3f %s " SPAN_FMT " " SPAN_FMT "\n", at, key, SPAN_ARG(o->event), SPAN_ARG(o->detail));
	}
	if (t.over || (!h->o.json && h->input.fd >= 0 && h->input.ready))
		return; /* the terminal view shows its own */
	fwrite(t.p, 1, t.n, stdout);
	fflush(stdout);
}

static void emit(struct vphone_sink *s, const struct vphone_out *o)
{
	struct vhost *h = (struct vhost *)(void *)s;
	switch (o->kind) {
	case VP_OUT_SIP: vh_send_sip(h, o); return;
	case VP_OUT_HTTP: vh_http_start(h, o); return;
	case VP_OUT_RTP_OPEN: vh_rtp_open(h, o->rtp_port); return;
	case VP_OUT_RTP_CLOSE: vh_rtp_close(h, o->rtp_port); return;
	case VP_OUT_RTP: vh_send_rtp(h, o); return;
	case VP_OUT_FLASH:
		if (h->flash_path[0] && file_write(h->flash_path, o->bytes, false) != 0)
			fprintf(stderr, "vphone: cannot write %s\n", h->flash_path);
		return;
	case VP_OUT_EVENT:
		note(h, o);
		print(h, o, "event");
		return;
	case VP_OUT_DEFECT: print(h, o, "defect"); return;
	case VP_OUT_LOG: print(h, o, "log"); return;
	}
}

void vh_step(struct vhost *h, const struct vphone_in *in)
{
	vphone_step(h->v, in, mono_us(), &h->sink);
}

void vhost_do(struct vhost *h, const char *verb, const char *arg, size_t arg_n)
{
	vh_step(h, &(struct vphone_in){.kind = VP_IN_USER, .verb = span_z(verb), .arg = span_mem(arg, arg_n)});
}

void vhost_boot(struct vhost *h)
{
	vh_step(h, &(struct vphone_in){.kind = VP_IN_START});
}

int vhost_init(struct vhost *h, const struct vhost_opts *o)
{
	const char *error;
	char *flash = NULL;
	size_t flash_n = 0;
	*h = (struct vhost){.sink = {emit}, .o = *o, .start_us = mono_us()};
	if (loop_init(&h->loop) != 0 || curl_global_init(CURL_GLOBAL_DEFAULT) != 0 || !(h->multi = curl_multi_init())) {
		fprintf(stderr, "vphone: cannot start\n");
		return -1;
	}
	if (o->flash_dir) {
		if (file_mkdir(o->flash_dir) != 0) {
			fprintf(stderr, "vphone: cannot make %s\n", o->flash_dir);
			return -1;
		}
		snprintf(h->flash_path, sizeof h->flash_path, "%s/%s.flash", o->flash_dir, o->phone.mac);
		(void)!file_read(h->flash_path, 1 << 20, &flash, &flash_n); /* none yet: factory defaults */
		h->o.phone.flash = span_mem(flash, flash_n);
	}
	random_bytes(&h->o.phone.seed, sizeof h->o.phone.seed);
	h->v = vphone_new(&h->o.phone, mono_us(), &error);
	free(flash);
	if (!h->v) {
		fprintf(stderr, "vphone: %s\n", error);
		return -1;
	}
	return vh_net_open(h);
}

void vhost_close(struct vhost *h)
{
	if (h->rec_path[0] && vh_wav_write(h->rec_path, h->rec, h->rec_n) != 0)
		fprintf(stderr, "vphone: cannot write %s\n", h->rec_path);
	vphone_free(h->v);
	vh_http_close(h);
	vh_net_close(h);
	curl_multi_cleanup(h->multi);
	curl_global_cleanup();
	loop_close(&h->loop);
	free(h->rec);
}

void vhost_turn(struct vhost *h, int64_t max_us)
{
	int64_t now = mono_us(), until = now + max_us, at = vphone_deadline(h->v);
	if (at < until)
		until = at;
	/* libcurl is asked every 2 ms while a request is open: only at boot */
	if (h->http.easy && until > now + 2000)
		until = now + 2000;
	if (loop_turn(&h->loop, until) < 0)
		h->broken = true;
	vh_http_poll(h);
	vh_net_reap(h);
	vh_step(h, &(struct vphone_in){.kind = VP_IN_TIMER});
}

void vhost_report(struct vhost *h, const char *result)
{
	char buf[16384];
	struct text t = TEXT_ARRAY(buf);
	if (h->o.json)
		text_fmt(&t, "{\"result\":\"%s\",\"seconds\":%.3f,\"report\":", result, (double)(mono_us() - h->start_us) / 1e6);
	vphone_report(h->v, &t);
	text_z(&t, h->o.json ? "}\n" : "\n");
	if (!t.over)
		fwrite(t.p, 1, t.n, stdout);
	fflush(stdout);
}
