#include "harness/harness.h"

#include <stdio.h>
#include <string.h>

static int has_row(const char *rows, const char *row)
{
	size_t n = strlen(row);
	for (const char *p = rows; (p = strstr(p, row)) != NULL; p += n)
		if ((p == rows || p[-1] == ' ') && (p[n] == 0 || p[n] == ' '))
			return 1;
	return 0;
}

int test_main(int argc, char **argv, const char *suite, const struct test_case *cases, size_t n)
{
	const char *row = NULL, *only = NULL;
	int failed = 0, list = 0;
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--list"))
			list = 1;
		else if (!strcmp(argv[i], "--row") && i + 1 < argc)
			row = argv[++i];
		else
			only = argv[i];
	}
	for (size_t i = 0; i < n; i++) {
		if ((row && !has_row(cases[i].rows, row)) || (only && strcmp(only, cases[i].name) != 0))
			continue;
		if (list) {
			printf("%s.%s\t%s\n", suite, cases[i].name, cases[i].rows);
			continue;
		}
		const struct CMUnitTest one[] = {{cases[i].name, cases[i].run, NULL, NULL, NULL}};
		cmocka_set_message_output(CM_OUTPUT_XML);
		int bad = _cmocka_run_group_tests(suite, one, 1, NULL, NULL);
		printf("\n%s\t%s.%s\t%s\n", bad ? "not ok" : "ok", suite, cases[i].name, cases[i].rows);
		fflush(stdout);
		failed += bad != 0;
	}
	return failed != 0;
}
