/* The one way to write a unit test program: a table of cases with the ledger rows that each would fail without.
 * PROGRAM --list prints "name<TAB>rows"; PROGRAM [--row ID] runs and prints "ok|not ok<TAB>name<TAB>rows". */
#ifndef TESTS_HARNESS_H
#define TESTS_HARNESS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

struct test_case {
	const char *name;
	void (*run)(void **state);
	const char *rows; /* "G34 V5 R16" or "" */
};

int test_main(int argc, char **argv, const char *suite, const struct test_case *cases, size_t n);

#define TEST_MAIN(suite, cases)                                                                                        \
	int main(int argc, char **argv)                                                                                \
	{                                                                                                              \
		return test_main(argc, argv, suite, cases, sizeof(cases) / sizeof((cases)[0]));                        \
	}
#define CASE(fn, rows) {#fn, fn, rows}

#endif
