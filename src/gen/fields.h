/* gen/fields: what the generated rows have in common: a description of each field, and validation, text and JSON made
 * from it. Layer 1, pure. Sealed fields have no text and no JSON form. */
#ifndef GEN_FIELDS_H
#define GEN_FIELDS_H

#include "base/text.h"

enum field_type { FIELD_TEXT, FIELD_INT, FIELD_BOOL, FIELD_ENUM, FIELD_SEALED };
enum field_check { CHECK_NONE, CHECK_DIGITS, CHECK_HOST, CHECK_MAC, CHECK_CODECS, CHECK_NUMBERS, CHECK_NETS, CHECK_ENDPOINT };

struct field_desc {
	const char *name;
	enum field_type type;
	enum field_check check;
	uint32_t offset;
	int32_t min, max; /* text: bytes; int: the value */
	bool required;
	const char *const *values; /* enum */
	uint32_t n_values;
	const char *doc, *alias;   /* alias: the guide's name of it, or NULL */
};

/* Every row begins with these two. */
struct entity_head {
	uint64_t id, revision;
};

struct entity_desc {
	const char *name, *key;
	const struct field_desc *fields;
	uint32_t n_fields;
	size_t bytes;
};

/* For the person who must mend it: which field, what is wrong with it, how to mend it. */
struct field_error {
	char field[32], what[96], mend[160];
};
void field_error_set(struct field_error *e, const char *field, const char *what, const char *mend_fmt, ...)
	__attribute__((format(printf, 4, 5)));

const struct field_desc *entity_field(const struct entity_desc *d, struct span name);
/* 0, or -1 with err filled (the first field that is wrong). */
int entity_validate(const struct entity_desc *d, const void *row, struct field_error *err);
/* Sets one field from text ("true", "anchor", "60"); -1: unknown field, not writable, wrong form (row unchanged). */
int entity_set(const struct entity_desc *d, void *row, struct span field, struct span text, struct field_error *err);
/* Appends the field's text. -1: unknown or sealed. */
int entity_get(const struct entity_desc *d, const void *row, struct span field, struct text *out);
/* Appends "id":1,"revision":2,"number":"201",... without braces, so that callers may add members. */
void entity_json_members(const struct entity_desc *d, const void *row, struct text *out);

int32_t field_int(const struct field_desc *f, const void *row); /* int, bool, enum */
void field_int_put(const struct field_desc *f, void *row, int32_t v);
const char *field_text(const struct field_desc *f, const void *row); /* text, sealed */

#endif
