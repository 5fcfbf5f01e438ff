#include "cli/progress.h"

#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "common/clock.h"

enum { BAR_MAX = 30, BAR_MIN = 5, REDRAW_MS = 100, DEFAULT_COLUMNS = 80 };

void cli_progress_size(char *ret_text, size_t size, int64_t bytes) {
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB"};
    if (bytes < 1024) {
        snprintf(ret_text, size, "%lld B", (long long)bytes);
        return;
    }
    double value = (double)bytes / 1024;
    size_t unit = 0;
    while (value >= 1023.95 && unit + 1 < ARRAY_LEN(units)) {
        value /= 1024;
        unit++;
    }
    snprintf(ret_text, size, "%.1f %s", value, units[unit]);
}

static void format_left(char *ret_text, size_t size, int64_t seconds) {
    if (seconds >= 3600)
        snprintf(ret_text, size, "%lld:%02lld:%02lld left", (long long)(seconds / 3600), (long long)(seconds / 60 % 60), (long long)(seconds % 60));
    else
        snprintf(ret_text, size, "%lld:%02lld left", (long long)(seconds / 60), (long long)(seconds % 60));
}

void cli_progress_render(char ret_line[CLI_PROGRESS_LINE_SIZE], const char *what, int64_t done_bytes, int64_t total_bytes, int64_t elapsed_ms,
                         size_t columns) {
    char done[32];
    char total[32];
    char speed[48] = "";
    char left[48] = "";
    int percent = total_bytes <= 0 ? 100 : (int)(100.0 * (double)done_bytes / (double)total_bytes);
    cli_progress_size(done, sizeof(done), done_bytes);
    cli_progress_size(total, sizeof(total), total_bytes);
    if (elapsed_ms > 0 && done_bytes > 0) {
        double rate = (double)done_bytes * 1000 / (double)elapsed_ms;
        char rate_text[32];
        cli_progress_size(rate_text, sizeof(rate_text), (int64_t)rate);
        snprintf(speed, sizeof(speed), "  %s/s", rate_text);
        if (done_bytes < total_bytes && rate >= 1) {
            snprintf(left, sizeof(left), "  ");
            format_left(left + 2, sizeof(left) - 2, (int64_t)((double)(total_bytes - done_bytes) / rate + 0.5));
        }
    }
    char head[64];
    char tail[192];
    snprintf(head, sizeof(head), "%.40s %3d %%", what, percent);
    snprintf(tail, sizeof(tail), "  %s of %s%s%s", done, total, speed, left);
    size_t taken = strlen(head) + strlen(tail) + 4; /* "  [" and "]" */
    size_t bar = columns > taken ? columns - taken : 0;
    bar = bar > BAR_MAX ? BAR_MAX : bar;
    if (bar < BAR_MIN) {
        snprintf(ret_line, CLI_PROGRESS_LINE_SIZE, "%s%s", head, tail);
        if (columns < strlen(ret_line))
            ret_line[columns] = '\0';
        return;
    }
    char cells[BAR_MAX + 1];
    size_t filled = (size_t)percent * bar / 100;
    memset(cells, '#', filled);
    memset(cells + filled, '.', bar - filled);
    cells[bar] = '\0';
    snprintf(ret_line, CLI_PROGRESS_LINE_SIZE, "%s  [%s]%s", head, cells, tail);
}

size_t cli_progress_columns(FILE *out) {
    struct winsize size;
    if (ioctl(fileno(out), TIOCGWINSZ, &size) != 0 || size.ws_col == 0)
        return DEFAULT_COLUMNS;
    return size.ws_col;
}

static void draw(struct cli_progress *progress, int64_t done_bytes, int64_t total_bytes, const char *end) {
    char line[CLI_PROGRESS_LINE_SIZE];
    int64_t now_ms = clock_mono_ms();
    cli_progress_render(line, progress->what, done_bytes, total_bytes, now_ms - progress->started_ms, cli_progress_columns(progress->out) - 1);
    fprintf(progress->out, "\r\033[K%s%s", line, end);
    fflush(progress->out);
    progress->drawn_ms = now_ms;
}

void cli_progress_begin(struct cli_progress *progress, FILE *out, const char *what) {
    *progress = (struct cli_progress){.out = out, .what = what, .started_ms = clock_mono_ms()};
}

void cli_progress_update(struct cli_progress *progress, int64_t done_bytes, int64_t total_bytes) {
    if (progress->out != NULL && clock_mono_ms() - progress->drawn_ms >= REDRAW_MS)
        draw(progress, done_bytes, total_bytes, "");
}

void cli_progress_end(struct cli_progress *progress, int64_t done_bytes, int64_t total_bytes) {
    if (progress->out != NULL)
        draw(progress, done_bytes, total_bytes, "\n");
}
