/* Fields of the configuration set from random text: "entity field value" a line. What is taken validates, reads back as it
 * was set, and gives JSON that holds no raw control character; what is refused leaves the row as it was and says why. */
#include "base/assert.h"
#include "pbx/site.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_json(const struct entity_desc *d, const void *row)
{
	static char buf[65536];
	struct text t = TEXT_ARRAY(buf);
	entity_json_members(d, row, &t);
	INVARIANT(!t.over);
	for (size_t i = 0; i < text_span(&t).n; i++)
		INVARIANT((unsigned char)text_span(&t).p[i] >= 0x20);
}

static void set(const struct entity_desc *d, void *row, void *before, struct span field, struct span value)
{
	char buf[4096];
	struct field_error err = {0};
	memcpy(before, row, d->bytes);
	if (entity_set(d, row, field, value, &err) < 0) {
		INVARIANT(memcmp(before, row, d->bytes) == 0 && err.what[0] && err.mend[0]);
		return;
	}
	struct text t = TEXT_ARRAY(buf);
	INVARIANT(entity_get(d, row, field, &t) == 0);
	const struct field_desc *f = entity_field(d, field);
	INVARIANT(f != NULL);
	if (f->type == FIELD_TEXT)
		INVARIANT(span_eq(text_span(&t), value));
	check_json(d, row);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static union {
		struct site_settings settings;
		struct extension extension;
		struct device device;
	} row, before;
	memset(&row, 0, sizeof row);
	struct span rest = span_mem(data, size);
	const struct entity_desc *d = &site_settings_desc;
	site_settings_defaults(&row.settings);
	if (rest.n && rest.p[0] == 'e') {
		d = &extension_desc;
		memset(&row, 0, sizeof row);
		extension_defaults(&row.extension);
	} else if (rest.n && rest.p[0] == 'd') {
		d = &device_desc;
		memset(&row, 0, sizeof row);
		device_defaults(&row.device);
	}
	rest = span_sub(rest, 1, rest.n);
	for (int i = 0; rest.n && i < 64; i++) {
		struct span line = span_cut(&rest, '\n'), value = line, field = span_cut(&value, ' ');
		set(d, &row, &before, field, value);
	}
	struct field_error err;
	(void)entity_validate(d, &row, &err);
	return 0;
}
