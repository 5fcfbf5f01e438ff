#include "cli/cli.h"

#include <curl/curl.h>
#include <signal.h>

int main(int argc, char **argv) {
    program_refuse_core();
    signal(SIGPIPE, SIG_IGN); /* a closed pipe is a write error, told once */
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != 0) {
        fputs("pawl: cannot start libcurl\n", stderr);
        return EXIT_FAILED;
    }
    int code = cli_run(argc, argv);
    curl_global_cleanup();
    return code;
}
