/* A ClickHouse server out of libchdb, for tests: HTTP and native TCP of the real engine.
 *
 *   serve LIBCHDB [clickhouse-local options]
 *
 * libchdb's chdb_query_cmdline is clickhouse-local's entry, and clickhouse-local can open the server's own
 * listeners (SYSTEM START LISTEN). It then runs a query that reads standard input and so never ends: closing
 * standard input is its clean stop. SIGTERM does that here. */
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define OPTIONS 16

static int held_open; /* the end of the pipe that keeps the server's standard input open */

static void *close_at_sigterm(void *mask) {
    int caught;
    sigwait(mask, &caught);
    close(held_open);
    return NULL;
}

int main(int argc, char **argv) {
    if (argc < 2 || argc > OPTIONS) {
        fprintf(stderr, "usage: serve LIBCHDB [clickhouse-local options]\n");
        return 2;
    }
    int ends[2];
    if (pipe(ends) != 0 || dup2(ends[0], STDIN_FILENO) < 0) {
        perror("serve: pipe");
        return 1;
    }
    held_open = ends[1];

    /* Blocked before the library starts its threads, so that only ours takes it. */
    static sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &mask, NULL);
    pthread_t waiter;
    pthread_create(&waiter, NULL, close_at_sigterm, &mask);

    void *library = dlopen(argv[1], RTLD_NOW | RTLD_GLOBAL);
    if (!library) {
        fprintf(stderr, "serve: %s\n", dlerror());
        return 1;
    }
    void *(*run)(int, char **) = (void *(*)(int, char **))dlsym(library, "chdb_query_cmdline");
    const char *(*error)(void *) = (const char *(*)(void *))dlsym(library, "chdb_result_error");
    if (!run || !error) {
        fprintf(stderr, "serve: %s\n", dlerror());
        return 1;
    }

    char *options[OPTIONS + 2] = {"clickhouse",
        "--query=SYSTEM START LISTEN HTTP; SYSTEM START LISTEN TCP; "
        "SELECT count() FROM file('/dev/stdin', 'LineAsString')"};
    int count = 2;
    for (int i = 2; i < argc; i++) options[count++] = argv[i];

    const char *message = error(run(count, options));
    if (message) fprintf(stderr, "serve: %s\n", message);
    /* Not exit(): the library's own destructors are not needed and may wait for its threads. */
    _exit(message ? 1 : 0);
}
