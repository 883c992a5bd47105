/* What the sandbox takes away, tried in a child each: after it there is no way back. */
#include "io/sandbox.h"
#include "io/thread.h"
#include "harness/harness.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* The wait status of a child that has entered the sandbox and done `what`; its exit code is what's result. */
static int in_sandbox(int (*what)(void))
{
	pid_t pid = fork();
	if (pid == 0)
		_exit(sandbox_enter() == 0 ? what() : 99);
	int status = -1;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static int begin_a_program(void)
{
	char *argv[] = {(char[]){"true"}, NULL}, *envp[] = {NULL};
	execve("/bin/true", argv, envp);
	return 1;
}

static int other_things(void)
{
	if (socket(AF_UNIX, SOCK_STREAM, 0) >= 0 || errno != EPERM)
		return 1;
	if (socket(AF_NETLINK, SOCK_RAW, 0) >= 0 || errno != EPERM)
		return 2;
	if (mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED)
		return 3;
	if (fork() >= 0 || errno != EPERM)
		return 4;
	return chroot("/") == 0 ? 5 : 0;
}

static void *nothing(void *arg)
{
	return arg;
}

static int what_a_switch_does(void)
{
	pthread_t t;
	void *mem = malloc(8 << 20);
	int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	if (!mem || fd < 0 || write(fd, "x", 1) != 1 || close(fd) != 0)
		return 1;
	free(mem);
	if (socket(AF_INET, SOCK_DGRAM, 0) < 0 || (socket(AF_INET6, SOCK_STREAM, 0) < 0 && errno == EPERM))
		return 2;
	return thread_start(&t, "t", nothing, NULL) == 0 && pthread_join(t, NULL) == 0 ? 0 : 3;
}

static void no_other_program_is_begun(void **state)
{
	(void)state;
	int status = in_sandbox(begin_a_program);
	assert_true(sandbox_is_off_by_build() || (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS));
}

static void no_other_sockets_code_or_processes(void **state)
{
	(void)state;
	int status = in_sandbox(other_things);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void the_switch_goes_on(void **state)
{
	(void)state;
	int status = in_sandbox(what_a_switch_does);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void another_user_is_found_by_name(void **state)
{
	(void)state;
	unsigned uid = 0, gid = 0;
	assert_int_equal(sandbox_user("nobody", &uid, &gid), 0);
	assert_true(uid > 0);
	assert_int_equal(sandbox_user("nobody-of-that-name", &uid, &gid), -1);
}

static const struct test_case cases[] = {CASE(no_other_program_is_begun, ""), CASE(no_other_sockets_code_or_processes, ""),
					 CASE(the_switch_goes_on, ""), CASE(another_user_is_found_by_name, "")};
TEST_MAIN("sandbox", cases)
