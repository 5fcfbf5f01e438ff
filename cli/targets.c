/* `pawl targets`: which team speaks for which paths, with keys of its own. */
#include <string.h>

#include "cli/groups.h"
#include "cli/job.h"
#include "cli/local.h"
#include "cli/table.h"
#include "cli/view.h"
#include "common/clock.h"
#include "common/file.h"
#include "common/text.h"

enum { OUTPUT_MAX_BYTES = 1 << 20 };

struct delegate_args {
    struct cli_signing_args signing;
    struct option_texts paths, keys;
    int64_t threshold;
    const char *out, *confirm;
    bool terminating;
};

static const struct cli_option delegate_options[] = {
    {"path", 0, OPTION_TEXTS, offsetof(struct delegate_args, paths), "PATTERN", "what it speaks for, gateway/* (repeat for more)"},
    {"public-key", 0, OPTION_TEXTS, offsetof(struct delegate_args, keys), "FILE", "a key of the team, PEM (repeat for more)"},
    {"threshold", 0, OPTION_INT, offsetof(struct delegate_args, threshold), "N", "how many of them must sign [1]"},
    {"terminating", 0, OPTION_FLAG, offsetof(struct delegate_args, terminating), NULL, "nobody behind it is asked for these paths"},
    {"out", 'o', OPTION_TEXT, offsetof(struct delegate_args, out), "FILE", "write a bundle for `pawl release sign` instead of publishing"},
    {"confirm", 0, OPTION_TEXT, offsetof(struct delegate_args, confirm), "HASH", "the hash of the draft; nothing is asked then"},
    CLI_SIGNING_OPTIONS(struct delegate_args, signing),
};
const struct cli_options cli_targets_delegate_options = CLI_OPTIONS(struct delegate_args, delegate_options);

struct show_args {
    struct cli_signing_args signing;
};

static const struct cli_option show_options[] = {CLI_ROOT_OPTIONS(struct show_args, signing)};
const struct cli_options cli_targets_show_options = CLI_OPTIONS(struct show_args, show_options);

/* The team's public keys. */
struct team {
    size_t count;
    struct key *keys[METADATA_KEYS_MAX];
};

static void free_team(struct team *team) {
    for (size_t i = 0; i < team->count; i++)
        key_free(team->keys[i]);
}

static bool read_team(const struct option_texts *files, struct team *team, struct err *err) {
    for (size_t i = 0; i < files->count && team->count < METADATA_KEYS_MAX; i++) {
        if (!cli_local_public_key(files->items[i], &team->keys[team->count], err))
            return false;
        team->count++;
    }
    return team->count > 0 || err_set_field(err, ERR_USAGE, "public-key", "--public-key FILE is needed: whose paths are they?");
}

/* A star of a pattern never matches "/", and a path has three parts: "gateway/" and a star means all releases of gateway. */
static bool read_paths(struct cli *cli, const struct option_texts *given, const char **paths, struct err *err) {
    if (given->count == 0)
        return err_set_field(err, ERR_USAGE, "path", "--path PATTERN is needed: what does the team speak for?");
    for (size_t i = 0; i < given->count; i++) {
        const char *slash = strchr(given->items[i], '/');
        bool whole_product = slash != NULL && text_equal(slash, "/*");
        paths[i] = whole_product ? arena_printf(&cli->arena, "%s/*", given->items[i]) : given->items[i];
        if (paths[i] == NULL)
            return err_no_memory(err);
        if (!whole_product && (slash == NULL || strchr(slash + 1, '/') == NULL))
            return err_set_field(err, ERR_USAGE, "path", "--path '%s' matches no target: they are PRODUCT/VERSION/FILE", given->items[i]);
    }
    return true;
}

static bool draft(struct cli *cli, const struct delegate_args *delegate, const char *role, const struct team *team, struct cli_job *job,
                  struct err *err) {
    const char *paths[ARRAY_LEN(delegate->paths.items)];
    const struct key *keys[METADATA_KEYS_MAX];
    for (size_t i = 0; i < team->count; i++)
        keys[i] = team->keys[i];
    if (!read_paths(cli, &delegate->paths, paths, err))
        return false;
    const struct repository_delegation delegation = {
        .role = role,
        .signers = {.keys = keys, .count = team->count, .threshold = delegate->threshold == 0 ? 1 : (size_t)delegate->threshold},
        .paths = paths,
        .path_count = delegate->paths.count,
        .terminating = delegate->terminating,
    };
    return cli_job_choose(job, "targets", NULL, err) && cli_job_draft(job, NULL, err) && repository_delegate(job->draft, &delegation, err);
}

bool cli_targets_delegate(struct cli *cli, const void *args, const struct option_texts *operands, struct err *err) {
    const struct delegate_args *delegate = args;
    CLEANUP(free_team) struct team team = {0};
    CLEANUP(cli_job_close) struct cli_job job = {0};
    CLEANUP(cli_signing_close) struct cli_signing signing = {0};
    CLEANUP(buf_free) struct buf out = BUF_INIT(4096);
    struct cli_reply reply;
    if (delegate->threshold < 0)
        return err_set_field(err, ERR_USAGE, "threshold", "--threshold %lld is not a number from 1", (long long)delegate->threshold);
    if ((delegate->out == NULL && !cli_signing_check(&delegate->signing, err)) || !read_team(&delegate->keys, &team, err) ||
        !cli_job_open(cli, &delegate->signing, NULL, false, &job, err) || !draft(cli, delegate, operands->items[0], &team, &job, err) ||
        !cli_job_review(&job, delegate->confirm, delegate->out != NULL ? "Write the bundle?" : "Sign and publish this?", err))
        return false;
    if (delegate->out != NULL)
        return cli_job_save(&job, delegate->out, err);
    if (!cli_signing_open(cli, &delegate->signing, &signing, err) || !cli_job_sign(&job, &signing, job.signers->threshold, NULL, err) ||
        !cli_job_publish(&job, &signing, NULL, &reply, err))
        return false;
    if (cli->json)
        return cli_view_json(cli, reply.body, reply.len, err);
    buf_printf(&out, "published targets %lld: %s is delegated\n", (long long)job.next->version, operands->items[0]);
    return cli_view_write(cli, &out, err);
}

static bool add_role(struct cli_table *table, const char *name, const struct metadata *file, const struct signers *signers,
                     const struct metadata_delegation *delegation, struct err *err) {
    CLEANUP(buf_free) struct buf keys = BUF_INIT(OUTPUT_MAX_BYTES);
    CLEANUP(buf_free) struct buf paths = BUF_INIT(OUTPUT_MAX_BYTES);
    char expires[CLOCK_RFC3339_SIZE] = "";
    if (file != NULL)
        clock_rfc3339(file->expires_at, expires);
    for (size_t i = 0; i < signers->count; i++)
        buf_printf(&keys, "%s%s", i == 0 ? "" : " ", signers->items[i]->id);
    for (size_t i = 0; delegation != NULL && i < delegation->pattern_count; i++)
        buf_printf(&paths, "%s%s", i == 0 ? "" : " ", delegation->patterns[i]);
    buf_text(&paths, delegation == NULL ? "*" : delegation->terminating ? " (terminating)" : "");
    const char *const cells[] = {
        name,
        arena_printf(table->arena, "%lld", file != NULL ? (long long)file->version : 0LL),
        expires,
        arena_printf(table->arena, "%zu", file != NULL ? file->target_count : 0),
        arena_printf(table->arena, "%zu of %zu", signers->threshold, signers->count),
        keys.data,
        paths.data,
    };
    return buf_ok(&keys, "output", err) && buf_ok(&paths, "output", err) && cli_table_add(table, cells, err);
}

static bool add_delegations(struct cli_table *table, const struct trusted *trusted, const struct metadata *delegator, struct err *err) {
    for (size_t i = 0; i < delegator->delegation_count; i++) {
        const struct metadata_delegation *delegation = &delegator->delegations[i];
        if (!add_role(table, delegation->name, trusted_targets(trusted, delegation->name), &delegation->signers, delegation, err))
            return false;
    }
    return true;
}

/* One line a role; version 0: it has published nothing. */
bool cli_targets_show(struct cli *cli, const void *args, const struct option_texts *operands UNUSED, struct err *err) {
    static const char *const titles[] = {"ROLE", "VERSION", "EXPIRES", "RELEASES", "SIGNATURES", "KEYS", "PATHS"};
    const struct show_args *show = args;
    CLEANUP(cli_job_close) struct cli_job job = {0};
    struct cli_table table;
    if (!cli_job_open(cli, &show->signing, NULL, true, &job, err))
        return false;
    const struct trusted *trusted = job.tuf.trusted;
    if (trusted->targets == NULL)
        return err_set(err, ERR_NOT_FOUND, "nothing is published yet");
    if (cli->json)
        return cli_view_json(cli, trusted->targets->bytes, trusted->targets->len, err);
    cli_table_init(&table, &cli->arena);
    for (size_t i = 0; i < ARRAY_LEN(titles); i++)
        cli_table_column(&table, titles[i], text_equal(titles[i], "VERSION") || text_equal(titles[i], "RELEASES"));
    if (!add_role(&table, "targets", trusted->targets, &trusted->root->signers[METADATA_TARGETS], NULL, err) ||
        !add_delegations(&table, trusted, trusted->targets, err))
        return false;
    for (size_t i = 0; i < trusted->delegated_count; i++)
        if (!add_delegations(&table, trusted, trusted->delegated[i].metadata, err))
            return false;
    return cli_view_table(cli, &table, err);
}
