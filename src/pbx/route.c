#include "pbx/cell_internal.h"

static bool is_test(struct span user, const char *number)
{
	return number[0] && span_eqz(user, number);
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
	out->ext = site_extension_find(c->site, user);
	if (out->ext)
		out->kind = ROUTE_EXTENSION;
	else if (out->source)
		out->kind = ROUTE_TEST;
}
