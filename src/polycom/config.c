#include "polycom/config.h"

void polycom_config_begin(struct polycom_config *c, struct text *t)
{
	*c = (struct polycom_config){.t = t, .n = -1};
	text_lit(t, "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n<polycomConfig>\n");
}

static void close_group(struct polycom_config *c)
{
	if (c->n >= 0)
		text_lit(c->t, "/>\n");
	c->n = -1;
}

void polycom_config_group(struct polycom_config *c, const char *element)
{
	close_group(c);
	text_fmt(c->t, "  <%s", element);
	c->n = 0;
}

void polycom_config_set(struct polycom_config *c, const char *name, struct span value)
{
	if (c->n < 0 || c->n == POLYCOM_MAX_PARAMS) {
		c->broken = true;
		return;
	}
	for (int i = 0; i < c->n; i++)
		if (!strcmp(c->names[i], name))
			c->broken = true;
	c->names[c->n++] = name;
	text_fmt(c->t, "\n    %s=\"", name);
	text_xml(c->t, value);
	text_putc(c->t, '"');
}

void polycom_config_set_int(struct polycom_config *c, const char *name, int64_t value)
{
	char buf[24];
	struct text t = TEXT_ARRAY(buf);
	text_i64(&t, value);
	polycom_config_set(c, name, text_span(&t));
}

bool polycom_config_end(struct polycom_config *c)
{
	close_group(c);
	text_lit(c->t, "</polycomConfig>\n");
	return !c->broken && !c->t->over;
}
