/* What survives a reboot: point V2. The form is the phone's own: "VPF1\n", then records "name length\n" bytes "\n". */
#include "vphone/machine.h"

#include <stdlib.h>

/* Point V2: factory reset gives user and password PlcmSpIp and no server of its own. */
void vp_flash_defaults(struct vp_flash *f)
{
	vp_params_clear(&f->cached);
	*f = (struct vp_flash){.user = "PlcmSpIp", .password = "PlcmSpIp"};
}

static void load_record(struct vp_flash *f, struct span name, struct span value)
{
	if (span_eqz(name, "url"))
		vp_copyz(f->url, sizeof f->url, value);
	else if (span_eqz(name, "user"))
		vp_copyz(f->user, sizeof f->user, value);
	else if (span_eqz(name, "password"))
		vp_copyz(f->password, sizeof f->password, value);
	else if (span_eqz(name, "tag"))
		f->tag_serial = span_eqz(value, "1");
	else if (span_eqz(name, "cached")) {
		/* through the reader, so that a damaged record cannot get in */
		struct vp_params in = {(char *)(uintptr_t)value.p, value.n, value.n};
		struct vp_param_it it = {0};
		vp_params_clear(&f->cached);
		while (vp_params_next(&in, &it))
			if (vp_params_add(&f->cached, it.name, it.value, it.rank) != 0)
				break;
	}
}

void vp_flash_load(struct vp_flash *f, struct span blob)
{
	struct span line = span_cut(&blob, '\n');
	vp_flash_defaults(f);
	if (!span_eqz(line, "VPF1"))
		return;
	while (blob.p && blob.n) {
		uint64_t n;
		line = span_cut(&blob, '\n');
		struct span name = span_cut(&line, ' ');
		if (!line.p || span_u64(line, VP_PARAMS_MAX, &n) != 0 || !blob.p || n > blob.n)
			return;
		load_record(f, name, span_sub(blob, 0, n));
		blob = span_sub(blob, n + 1, blob.n);
	}
}

static void put_record(struct text *t, const char *name, struct span value)
{
	text_fmt(t, "%s %zu\n", name, value.n);
	text_put(t, value);
	text_putc(t, '\n');
}

void vp_flash_emit(struct vphone *v)
{
	const struct vp_flash *f = &v->flash;
	size_t cap = f->cached.n + 1024;
	char *buf = malloc(cap);
	if (!buf)
		return;
	struct text t = text_on(buf, cap);
	text_z(&t, "VPF1\n");
	put_record(&t, "url", span_z(f->url));
	put_record(&t, "user", span_z(f->user));
	put_record(&t, "password", span_z(f->password));
	put_record(&t, "tag", span_z(f->tag_serial ? "1" : "0"));
	put_record(&t, "cached", span_mem(f->cached.p, f->cached.n));
	if (!t.over)
		vp_out(v, &(struct vphone_out){.kind = VP_OUT_FLASH, .bytes = text_span(&t)});
	free(buf);
}
