/* XML, master files and digit maps as a server could send them. First byte: which. */
#include "vphone/machine.h"

static void ignore(struct vphone_sink *s, const struct vphone_out *o)
{
	(void)s, (void)o;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vphone_opts o = {.model = "VVX410", .mac = "0004f2aabb01", .server_url = "http://10.0.0.1/"};
	struct vphone_sink sink = {ignore};
	const char *error;
	if (size < 1)
		return 0;
	struct span rest = span_mem(data + 1, size - 1);
	if (data[0] % 4 == 3) {
		struct vp_dm_result r;
		struct span map = span_cut(&rest, '\n');
		vp_digitmap(map, rest, &r);
		return 0;
	}
	if (data[0] % 4 == 2)
		o.flash = rest;
	struct vphone *v = vphone_new(&o, 0, &error);
	if (!v)
		return 0;
	v->sink = &sink;
	struct vp_master m;
	if (data[0] % 4 == 0)
		vp_config_file(v, SPAN_LIT("f.cfg"), rest, VP_L_CONFIG);
	else if (data[0] % 4 == 1)
		(void)!vp_master_read(v, &m, SPAN_LIT("m.cfg"), rest);
	vp_settings_apply(v);
	vphone_free(v);
	return 0;
}
