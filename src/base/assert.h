/* base/assert: invariants that stay on in production. A broken invariant is a bug of ours, never bad input. Layer 0. */
#ifndef BASE_ASSERT_H
#define BASE_ASSERT_H

_Noreturn void invariant_failed(const char *what, const char *file, int line);

#define INVARIANT(cond) ((cond) ? (void)0 : invariant_failed(#cond, __FILE__, __LINE__))

#define NODISCARD __attribute__((warn_unused_result))
#define CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr) - offsetof(type, member)))
#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

#endif
