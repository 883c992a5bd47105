#include "pbx/cell_internal.h"

static bool is_test(struct span user, const char *number)
{
	return number[0] && span_eqz(user, number);
}

/* Whole numbers of a list with commas. */
bool route_is_emergency(const struct cell *c, struct span user)
{
	struct span rest = c->settings ? span_z(c->settings->emergency_numbers) : SPAN_NONE;
	while (user.n && rest.p)
		if (span_eq(span_trim(span_cut(&rest, ',')), user))
			return true;
	return false;
}

void route_find(const struct cell *c, const struct sip_uri *uri, struct route *out)
{
	*out = (struct route){.kind = ROUTE_BAD};
	struct span user = sip_unescape(uri->user, out->dialled, sizeof out->dialled - 1);
	if (!user.p || !user.n) {
		out->dialled[0] = '\0';
		return;
	}
	/* "201;phone-context=..": parameters of a telephone number are no part of it */
	ptrdiff_t semi = span_chr(user, ';');
	if (semi >= 0)
		user.n = (size_t)semi;
	out->dialled[user.n] = '\0';
	out->kind = ROUTE_UNKNOWN;
	const struct site_settings *s = c->settings;
	if (is_test(user, s->test_echo))
		out->source = SOURCE_ECHO;
	else if (is_test(user, s->test_milliwatt))
		out->source = SOURCE_MILLIWATT;
	else if (is_test(user, s->test_tone))
		out->source = SOURCE_TONE;
	/* Before everything else: no extension, test number or rule may take it (Z9). */
	out->emergency = route_is_emergency(c, user);
	if (out->emergency)
		out->source = SOURCE_NONE;
	out->ext = site_extension_find(c->site, out->emergency ? span_z(s->emergency_target) : user);
	if (out->ext)
		out->kind = ROUTE_EXTENSION;
	else if (out->source)
		out->kind = ROUTE_TEST;
}
