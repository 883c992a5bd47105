/* strowgerd: the switch. See README.md and `strowgerd --help`. */
#include "app/strowgerd.h"

#include "io/clock.h"
#include "io/notify.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

/* A second signal while we drain: the user means it. */
static void on_second_signal(int sig)
{
	(void)sig;
	_exit(EXIT_FAILED);
}

/* The next signal; 0 when it is time for the watchdog again. */
static int wait_for_signal(const sigset_t *wanted)
{
	int64_t us = notify_watchdog_us() / 4;
	struct timespec ts = {us / 1000000, us % 1000000 * 1000};
	int sig = us ? sigtimedwait(wanted, NULL, &ts) : sigwaitinfo(wanted, NULL);
	return sig > 0 ? sig : 0;
}

int main(int argc, char **argv)
{
	struct daemon_opts o;
	struct strowgerd *d = NULL;
	sigset_t wanted;
	int rc = options_read(&o, argc, argv), sig = 0;
	if (rc >= 0)
		return rc;
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&wanted);
	sigaddset(&wanted, SIGINT);
	sigaddset(&wanted, SIGTERM);
	sigaddset(&wanted, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &wanted, NULL); /* also in every thread started from here on */
	notify_open();
	rc = strowgerd_start(&d, &o);
	if (rc != EXIT_CLEAN) {
		strowgerd_free(d);
		return rc;
	}
	strowgerd_ready(d);
	notify_say("READY=1");
	while ((sig = wait_for_signal(&wanted)) != SIGINT && sig != SIGTERM) {
		if (sig == SIGHUP) {
			strowgerd_reopen_log(d);
			strowgerd_reload(d);
		} else if (notify_watchdog_us() && mono_us() - strowgerd_alive_us(d) < notify_watchdog_us() / 2) {
			notify_say("WATCHDOG=1");
		}
	}
	notify_say("STOPPING=1");
	signal(SIGINT, on_second_signal);
	signal(SIGTERM, on_second_signal);
	pthread_sigmask(SIG_UNBLOCK, &wanted, NULL);
	strowgerd_drain(d);
	strowgerd_free(d);
	return EXIT_CLEAN;
}
