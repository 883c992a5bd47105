#include "gen/fields.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/addr.h"
#include "base/assert.h"

_Static_assert(sizeof(enum field_type) == sizeof(int32_t), "enums are read as 32-bit values");

void field_error_set(struct field_error *e, const char *field, const char *what, const char *mend_fmt, ...)
{
	va_list ap;
	if (!e)
		return;
	snprintf(e->field, sizeof e->field, "%s", field);
	snprintf(e->what, sizeof e->what, "%s", what);
	va_start(ap, mend_fmt);
	vsnprintf(e->mend, sizeof e->mend, mend_fmt, ap);
	va_end(ap);
}

const struct field_desc *entity_field(const struct entity_desc *d, struct span name)
{
	for (uint32_t i = 0; i < d->n_fields; i++)
		if (span_eqz(name, d->fields[i].name))
			return &d->fields[i];
	return NULL;
}

int32_t field_int(const struct field_desc *f, const void *row)
{
	const char *p = (const char *)row + f->offset;
	if (f->type == FIELD_BOOL) {
		bool b;
		memcpy(&b, p, sizeof b);
		return b;
	}
	int32_t v;
	memcpy(&v, p, sizeof v);
	return v;
}

void field_int_put(const struct field_desc *f, void *row, int32_t v)
{
	char *p = (char *)row + f->offset;
	if (f->type == FIELD_BOOL) {
		bool b = v != 0;
		memcpy(p, &b, sizeof b);
	} else {
		memcpy(p, &v, sizeof v);
	}
}

const char *field_text(const struct field_desc *f, const void *row)
{
	return (const char *)row + f->offset;
}

static bool all_digits(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!ascii_digit(s.p[i]))
			return false;
	return true;
}

static bool is_host(struct span s)
{
	struct addr a;
	if (addr_parse(s, 0, &a) == 0)
		return true;
	if (s.n == 0 || s.n > 253 || s.p[0] == '.' || s.p[0] == '-')
		return false;
	for (size_t i = 0; i < s.n; i++) {
		char c = ascii_lower(s.p[i]);
		if (!ascii_digit(c) && !(c >= 'a' && c <= 'z') && c != '-' && !(c == '.' && s.p[i - 1] != '.'))
			return false;
	}
	return s.p[s.n - 1] != '-';
}

static bool is_mac(struct span s)
{
	if (s.n != 12)
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (!ascii_digit(s.p[i]) && !(s.p[i] >= 'a' && s.p[i] <= 'f'))
			return false;
	return true;
}

static const char *const codec_names[] = {"G722", "PCMU", "PCMA", "G729"};

static bool is_net(struct span s)
{
	struct addr a;
	uint64_t bits;
	struct span ip = span_cut(&s, '/');
	return addr_parse(ip, 0, &a) == 0 && (!s.p || span_u64(s, a.family == 6 ? 128 : 32, &bits) == 0);
}

/* A list with commas. */
static bool each_is(struct span s, bool (*is)(struct span item))
{
	while (s.p) {
		struct span item = span_trim(span_cut(&s, ','));
		if (item.n && !is(item))
			return false;
	}
	return true;
}

static bool is_codecs(struct span s)
{
	unsigned seen = 0;
	while (s.p) {
		struct span one = span_cut(&s, ',');
		unsigned bit = 0;
		for (unsigned i = 0; i < COUNT_OF(codec_names); i++)
			if (span_eqz(one, codec_names[i]))
				bit = 1u << i;
		if (!bit || (seen & bit))
			return false;
		seen |= bit;
	}
	return seen != 0;
}

static bool printable(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f)
			return false;
	return true;
}

static int check_text(const struct field_desc *f, struct span s, struct field_error *err)
{
	if (s.n == 0) {
		if (!f->required)
			return 0;
		field_error_set(err, f->name, "is empty", "give it a value: %s", f->doc);
		return -1;
	}
	if ((int64_t)s.n < f->min || (int64_t)s.n > f->max) {
		field_error_set(err, f->name, "has the wrong length", "use %d to %d characters", (int)f->min, (int)f->max);
		return -1;
	}
	if (!printable(s)) {
		field_error_set(err, f->name, "has control characters", "use printable characters only");
		return -1;
	}
	switch (f->check) {
	case CHECK_NONE:
		return 0;
	case CHECK_DIGITS:
		if (all_digits(s))
			return 0;
		field_error_set(err, f->name, "is not a number", "use digits 0-9 only");
		return -1;
	case CHECK_HOST:
		if (is_host(s))
			return 0;
		field_error_set(err, f->name, "is neither an IP address nor a host name", "write 192.0.2.1 or pbx.example.com, without a scheme");
		return -1;
	case CHECK_MAC:
		if (is_mac(s))
			return 0;
		field_error_set(err, f->name, "is not an Ethernet address", "write 12 lower-case hexadecimal digits: 0004f2aabbcc");
		return -1;
	case CHECK_CODECS:
		if (is_codecs(s))
			return 0;
		field_error_set(err, f->name, "names an unknown codec, or one twice", "use some of G722,PCMU,PCMA,G729, each once");
		return -1;
	case CHECK_NUMBERS:
		if (each_is(s, all_digits))
			return 0;
		field_error_set(err, f->name, "holds what is no number", "write 911,112");
		return -1;
	case CHECK_NETS:
		if (each_is(s, is_net))
			return 0;
		field_error_set(err, f->name, "holds what is no address or network", "write 192.0.2.7, 198.51.100.0/24, 2001:db8::/32");
		return -1;
	case CHECK_ENDPOINT: {
		struct addr a;
		if (addr_parse_port(s, &a) == 0)
			return 0;
		field_error_set(err, f->name, "is no IP address with a port", "write 192.0.2.7:9060 or [2001:db8::7]:9060");
		return -1;
	}
	}
	return -1;
}

static void enum_error(const struct field_desc *f, struct field_error *err)
{
	char list[120];
	struct text t = TEXT_ARRAY(list);
	for (uint32_t i = 0; i < f->n_values; i++) {
		text_z(&t, i ? ", " : "");
		text_z(&t, f->values[i]);
	}
	text_end(&t);
	field_error_set(err, f->name, "has none of its values", "use one of: %s", list);
}

static int check_int(const struct field_desc *f, int32_t v, struct field_error *err)
{
	if (v >= f->min && v <= f->max)
		return 0;
	field_error_set(err, f->name, "is out of range", "use %d to %d", (int)f->min, (int)f->max);
	return -1;
}

static int validate_field(const struct field_desc *f, const void *row, struct field_error *err)
{
	switch (f->type) {
	case FIELD_TEXT: {
		const char *z = field_text(f, row);
		return check_text(f, span_mem(z, strnlen(z, (size_t)f->max + 1)), err);
	}
	case FIELD_INT:
		return check_int(f, field_int(f, row), err);
	case FIELD_ENUM:
		if ((uint32_t)field_int(f, row) < f->n_values)
			return 0;
		enum_error(f, err);
		return -1;
	case FIELD_BOOL:
	case FIELD_SEALED:
		return 0;
	}
	return -1;
}

int entity_validate(const struct entity_desc *d, const void *row, struct field_error *err)
{
	for (uint32_t i = 0; i < d->n_fields; i++)
		if (validate_field(&d->fields[i], row, err) != 0)
			return -1;
	return 0;
}

static int set_int(const struct field_desc *f, void *row, struct span text, struct field_error *err)
{
	uint64_t v;
	bool minus = text.n > 0 && text.p[0] == '-';
	if (span_u64(span_sub(text, minus ? 1 : 0, text.n), INT32_MAX, &v) != 0) {
		field_error_set(err, f->name, "is not a whole number", "use %d to %d", (int)f->min, (int)f->max);
		return -1;
	}
	int32_t n = minus ? -(int32_t)v : (int32_t)v;
	if (check_int(f, n, err) != 0)
		return -1;
	field_int_put(f, row, n);
	return 0;
}

static int set_bool(const struct field_desc *f, void *row, struct span text, struct field_error *err)
{
	static const char *const yes[] = {"true", "yes", "on", "1"}, *const no[] = {"false", "no", "off", "0"};
	for (size_t i = 0; i < COUNT_OF(yes); i++) {
		if (span_ieqz(text, yes[i]) || span_ieqz(text, no[i])) {
			field_int_put(f, row, span_ieqz(text, yes[i]));
			return 0;
		}
	}
	field_error_set(err, f->name, "is neither true nor false", "use true or false");
	return -1;
}

int entity_set(const struct entity_desc *d, void *row, struct span field, struct span text, struct field_error *err)
{
	const struct field_desc *f = entity_field(d, field);
	if (!f || f->type == FIELD_SEALED) {
		char name[32];
		if (!span_copyz(field, name, sizeof name))
			strcpy(name, "?");
		field_error_set(err, name, "is not a field of this", "see the reference of %s for its fields", d->name);
		return -1;
	}
	switch (f->type) {
	case FIELD_TEXT:
		if (check_text(f, text, err) != 0)
			return -1;
		if (!span_copyz(text, (char *)row + f->offset, (size_t)f->max + 1)) {
			field_error_set(err, f->name, "has a NUL", "use printable characters only");
			return -1;
		}
		return 0;
	case FIELD_INT:
		return set_int(f, row, text, err);
	case FIELD_BOOL:
		return set_bool(f, row, text, err);
	case FIELD_ENUM:
		for (uint32_t i = 0; i < f->n_values; i++) {
			if (span_eqz(text, f->values[i])) {
				field_int_put(f, row, (int32_t)i);
				return 0;
			}
		}
		enum_error(f, err);
		return -1;
	case FIELD_SEALED:
		break;
	}
	return -1;
}

int entity_get(const struct entity_desc *d, const void *row, struct span field, struct text *out)
{
	const struct field_desc *f = entity_field(d, field);
	if (!f)
		return -1;
	switch (f->type) {
	case FIELD_TEXT:
		text_z(out, field_text(f, row));
		return 0;
	case FIELD_INT:
		text_i64(out, field_int(f, row));
		return 0;
	case FIELD_BOOL:
		text_z(out, field_int(f, row) ? "true" : "false");
		return 0;
	case FIELD_ENUM: {
		uint32_t v = (uint32_t)field_int(f, row);
		text_z(out, v < f->n_values ? f->values[v] : "");
		return 0;
	}
	case FIELD_SEALED:
		return -1;
	}
	return -1;
}

void entity_json_members(const struct entity_desc *d, const void *row, struct text *out)
{
	struct entity_head h;
	memcpy(&h, row, sizeof h);
	text_lit(out, "\"id\":");
	text_u64(out, h.id);
	text_lit(out, ",\"revision\":");
	text_u64(out, h.revision);
	for (uint32_t i = 0; i < d->n_fields; i++) {
		const struct field_desc *f = &d->fields[i];
		if (f->type == FIELD_SEALED)
			continue;
		text_lit(out, ",\"");
		text_z(out, f->name);
		text_lit(out, "\":");
		if (f->type == FIELD_TEXT) {
			text_json(out, span_z(field_text(f, row)));
		} else if (f->type == FIELD_ENUM) {
			uint32_t v = (uint32_t)field_int(f, row);
			text_json(out, span_z(v < f->n_values ? f->values[v] : ""));
		} else {
			entity_get(d, row, span_z(f->name), out);
		}
	}
}
