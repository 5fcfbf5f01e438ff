#include "cli/groups.h"
#include "cli/verb.h"
#include "common/text.h"

static const struct {
    const char *group, *summary;
} groups[] = {
    {"keys", "make and look at signing keys"},
    {"root", "who may sign what, and how many of them"},
    {"targets", "teams that speak for products of their own"},
    {"release", "sign, publish and list releases"},
    {"products", "lines of devices and what they are offered"},
    {"devices", "the registry of devices"},
    {"deployments", "one device, one release"},
    {"rollouts", "one release to many devices, in phases"},
    {"tokens", "who may use the administrator's API"},
    {"claims", "one-time tokens by which devices enrol"},
    {"certificates", "devices' certificates, and when they end"},
    {"events", "what happened in the fleet"},
    {"webhooks", "where events are sent to"},
    {"audit", "who changed what"},
    {"seal", "encrypt a file for holders of an identity (age)"},
    {"unseal", "open a sealed file"},
    {"backup", "backups made by the server"},
    {"top", "a live view of the fleet"},
    {"completion", "words completed in bash, zsh and fish"},
    {"whoami", "what the server knows of your token"},
};

const char *cli_group_summary(const char *group) {
    for (size_t i = 0; i < ARRAY_LEN(groups); i++)
        if (text_equal(groups[i].group, group))
            return groups[i].summary;
    return NULL;
}

const struct cli_command cli_commands[] = {
    /* group, verb, operands, fewest, most, summary, detail, options, function */
    {"keys", "init", "DIR", 1, 1, "make the keys of a new repository and its root 1",
     "DIR gets root-1.pem …, targets-1.pem, snapshot-1.pem, online/timestamp.pem, directive.pem and\n"
     "audit.pem, each encrypted and of mode 0400, keys.json with their public parts, and 1.root.json.",
     &cli_keys_init_options, cli_keys_init},
    {"keys", "new", "ROLE OUT", 2, 2, "one key pair: OUT.pem and OUT.pub",
     "For a person who keeps a key alone, or for the next online key; prints its id.", &cli_keys_new_options, cli_keys_new},
    {"keys", "list", "DIR", 1, 1, "the keys of a folder", NULL, NULL, cli_keys_list},
    {"keys", "status", "DIR", 1, 1, "what expires when, as verified from root 1 of DIR", NULL, &cli_keys_status_options, cli_keys_status},
    {"keys", "export", "DIR NAME", 2, 2, "the public part of a key as PEM",
     "Fit for `openssl dgst -sha256 -verify FILE -signature IMAGE.sig IMAGE` (NAME: targets-1).", &cli_keys_export_options, cli_keys_export},
    {"keys", "identity", "FILE", 1, 1, "a new age identity that opens sealed images; prints its recipient", NULL, NULL, cli_seal_identity},

    {"root", "init", "", 0, 0, "root 1 out of public keys, for people who never share a machine", "Nobody has signed it yet: `root sign`.",
     &cli_root_init_options, cli_root_init},
    {"root", "show", "[FILE]", 0, 1, "a root: the newest that is verified, or the one in FILE", NULL, &cli_root_show_options, cli_root_show},
    {"root", "rotate", "", 0, 0, "the next root, from the newest that is verified",
     "Change keys, thresholds or expiry. It needs signatures by the thresholds of the old root keys and of the new ones.", &cli_root_rotate_options,
     cli_root_rotate},
    {"root", "sign", "FILE", 1, 1, "add your signature to a root", "The difference from the root before it, and its short hash, are shown first.",
     &cli_root_sign_options, cli_root_sign},
    {"root", "publish", "FILE", 1, 1, "send a root that has its signatures",
     "What the new root leaves without a valid signature (targets, snapshot) is signed anew with the keys given.", &cli_root_publish_options,
     cli_root_publish},

    {"targets", "delegate", "ROLE", 1, 1, "give a product's paths to a team with keys of its own",
     "A delegation of that name is replaced. The team publishes with `release publish --key`, and a snapshot key that root names.",
     &cli_targets_delegate_options, cli_targets_delegate},
    {"targets", "show", "", 0, 0, "who speaks for which paths", NULL, &cli_targets_show_options, cli_targets_show},

    {"release", "publish", "[IMAGE]", 0, 1, "sign a release offline and publish it",
     "The metadata of the server is verified from DIR/1.root.json and what was seen before, as a device would; the\n"
     "difference from the last release is shown before anything is signed.",
     &cli_publish_options, cli_publish_release},
    {"release", "prepare", "IMAGE", 1, 1, "describe a release for several people to sign", "The bundle goes to `release sign` on their machines.",
     &cli_prepare_options, cli_publish_prepare},
    {"release", "sign", "BUNDLE", 1, 1, "add your signature to a bundle",
     "What is published is verified first, from your own root 1: by the server, or by what the bundle brought along when\n"
     "no server is given (a bundle is good for a day then).",
     &cli_countersign_options, cli_countersign_sign},
    {"release", "attach", "BUNDLE [COPY]…", 1, 64, "collect signatures of other copies, or made elsewhere", NULL, &cli_attach_options,
     cli_countersign_attach},
    {"release", "renew", "", 0, 0, "a new expiry for targets and snapshot", NULL, &cli_renew_options, cli_lifecycle_renew},
    {"release", "reissue", "PRODUCT VERSION", 2, 2, "publish old bits again as a new release",
     "The way back: its sequence is higher than all others; a security version that was raised since forbids it.", &cli_reissue_options,
     cli_lifecycle_reissue},
    {"release", "withdraw", "PRODUCT VERSION", 2, 2, "never offer a release again; lists the devices that run it",
     "The server stops at once. With --keys the signed metadata says so as well, for ever, and devices refuse it by themselves.",
     &cli_withdraw_options, cli_lifecycle_withdraw},
    {"release", "list", "", 0, 0, "releases, the newest first", NULL, &cli_release_list_options, cli_release_list},
    {"release", "show", "PRODUCT VERSION", 2, 2, "one release", NULL, NULL, cli_release_show},

    {"products", "list", "", 0, 0, "all products", NULL, &cli_products_list_options, cli_products_list},
    {"products", "show", "PRODUCT", 1, 1, "one product", NULL, NULL, cli_products_show},
    {"products", "create", "PRODUCT", 1, 1, "a new product (its first release makes one as well)", NULL, &cli_products_create_options,
     cli_products_create},
    {"products", "set-policy", "PRODUCT latest|rollout", 2, 2, "what its devices are offered by themselves",
     "latest: the newest release that fits; rollout: only what is assigned. Open deployments stay.", NULL, cli_products_set_policy},

    {"devices", "list", "", 0, 0, "devices, by id unless sorted", NULL, &cli_devices_list_options, cli_devices_list},
    {"devices", "show", "DEVICE", 1, 1, "one device", NULL, NULL, cli_devices_show},
    {"devices", "decision", "DEVICE", 1, 1, "why it gets what it gets, or nothing", NULL, NULL, cli_decision_show},
    {"devices", "add", "DEVICE", 1, 1, "register a device before it is seen", NULL, &cli_devices_add_options, cli_devices_add},
    {"devices", "accept", "DEVICE", 1, 1, "let a pending device in, with the key it is known by", NULL, &cli_devices_accept_options,
     cli_devices_accept},
    {"devices", "revoke", "DEVICE", 1, 1, "refuse a device at once", NULL, &cli_verb_options, cli_devices_revoke},
    {"devices", "retire", "DEVICE", 1, 1, "take a device out of service", NULL, &cli_verb_options, cli_devices_retire},
    {"devices", "set", "DEVICE", 1, 1, "say what a device is: its product, hardware, attributes",
     "This settles an identity-mismatch. A device with an open deployment, or one that has confirmed a release, keeps its\n"
     "product.",
     &cli_devices_set_options, cli_devices_set},
    {"devices", "tag", "DEVICE", 1, 1, "change the tags of a device", NULL, &cli_devices_tag_options, cli_devices_tag},
    {"devices", "import", "FILE", 1, 1, "register and change many devices, all of FILE or nothing",
     "FILE.csv has a first line of columns: id,product,hardware,tags,spki_sha256,attribute.NAME; any other FILE one JSON\n"
     "object a line, as `devices export` writes it. The same import again changes nothing.",
     &cli_devices_import_options, cli_devices_import},
    {"devices", "export", "[FILE]", 0, 1, "devices as one JSON object a line, fit for import", NULL, &cli_devices_export_options, cli_devices_export},

    {"devices", "ddi", "DEVICE", 1, 1, "what an existing client (SWUpdate, RAUC's updater, …) said of itself; its token",
     "A token is for the listener without certificates ([ddi] token_listen), and is shown once.", &cli_ddi_client_options, cli_ddi_client},

    {"deployments", "assign", "DEVICE RELEASE", 2, 2, "give one device one release",
     "RELEASE is VERSION (of the device's product) or PRODUCT/VERSION. An open deployment of the device is superseded.", NULL,
     cli_deployments_assign},
    {"deployments", "list", "", 0, 0, "deployments, the newest first", NULL, &cli_deployments_list_options, cli_deployments_list},
    {"deployments", "show", "DEPLOYMENT", 1, 1, "one deployment", NULL, NULL, cli_deployments_show},
    {"deployments", "log", "DEPLOYMENT", 1, 1, "what an existing client said on the way", NULL, &cli_ddi_log_options, cli_ddi_log},
    {"deployments", "cancel", "DEPLOYMENT", 1, 1, "take a deployment back", NULL, &cli_verb_options, cli_deployments_cancel},
    {"deployments", "retry", "DEPLOYMENT", 1, 1, "once more for the same device and release",
     "Of one that failed, timed out or was cancelled; a quarantine for the release is lifted.", &cli_verb_options, cli_deployments_retry},
    {"deployments", "force-close", "DEPLOYMENT", 1, 1, "end a deployment whatever its device says", NULL, &cli_verb_options,
     cli_deployments_force_close},

    {"rollouts", "create", "", 0, 0, "plan a rollout: a draft, which touches no device",
     "--phase SIZE[,KEY=VALUE]…: SIZE is a share of the devices (10%), a number of them (50), or rest.\n"
     "  success=PERCENT  so many must be confirmed before the next phase begins [90]\n"
     "  errors=N|N%      when so many have failed or are silent past the deadline, the rollout pauses itself [10%]\n"
     "  soak=DURATION    how long to watch after success is reached [0]\n"
     "  deadline=DURATION  from when the phase opens; who has not confirmed by then has timed out [1d]\n"
     "Shares are of all devices and give 100% together, unless the last phase is the rest.\n"
     "--window 'DAYS FROM-TO [zone=ZONE] [tag=TAG]', as in 'mon-fri 22:00-04:00'; a device with such a tag follows only these.",
     &cli_rollouts_plan_options, cli_rollouts_plan_create},
    {"rollouts", "preview", "[ROLLOUT]", 0, 1, "whom a rollout would reach, and whom not, for which reason",
     "Of a draft, or of what the options of `rollouts create` say, before anything is made.", &cli_rollouts_plan_options, cli_rollouts_plan_preview},
    {"rollouts", "start", "ROLLOUT", 1, 1, "let it run, now or at its time", NULL, &cli_rollouts_start_options, cli_rollouts_plan_start},
    {"rollouts", "watch", "ROLLOUT", 1, 1, "look on until it is completed, paused or stopped",
     "Exit code 0: completed; 8: paused; 9: stopped. On a terminal one bar a phase: # confirmed, > in flight, ~ retrying, ! failed or\n"
     "timed out, - cancelled or skipped; elsewhere the lines are printed when they change, with --json one document a line.",
     &cli_rollouts_watch_options, cli_rollouts_watch},
    {"rollouts", "list", "", 0, 0, "rollouts, the newest first", NULL, &cli_rollouts_list_options, cli_rollouts_list},
    {"rollouts", "show", "ROLLOUT", 1, 1, "one rollout with its phases and counts", NULL, NULL, cli_rollouts_show},
    {"rollouts", "devices", "ROLLOUT", 1, 1, "its devices, each with phase and state", NULL, &cli_rollouts_devices_options, cli_rollouts_devices},
    {"rollouts", "pause", "ROLLOUT", 1, 1, "offer it to nobody from now on; what devices have begun goes on", NULL, &cli_verb_options,
     cli_rollouts_pause},
    {"rollouts", "resume", "ROLLOUT", 1, 1, "go on; what had halted it is accepted", NULL, &cli_verb_options, cli_rollouts_resume},
    {"rollouts", "stop", "ROLLOUT", 1, 1, "end it for good and cancel what is open", NULL, &cli_verb_options, cli_rollouts_stop},
    {"rollouts", "approve", "ROLLOUT", 1, 1, "let a rollout begin that somebody else has planned",
     "Shows it and asks. The token needs rollout:approve and rollout:read.", &cli_verb_options, cli_rollouts_approve},
    {"rollouts", "retry", "ROLLOUT", 1, 1, "its failed, timed-out and cancelled devices once more", NULL, &cli_verb_options, cli_rollouts_retry},
    {"rollouts", "delete", "ROLLOUT", 1, 1, "take a draft away", NULL, NULL, cli_rollouts_delete},

    {"tokens", "create", "", 0, 0, "a new token; its secret is shown once",
     "Scopes: device:read device:write release:read release:publish rollout:read rollout:write rollout:approve\n"
     "token:admin audit:read metrics:read; behind @ the one product that it is for.",
     &cli_tokens_create_options, cli_tokens_create},
    {"tokens", "list", "", 0, 0, "all tokens, without their secrets", NULL, &cli_tokens_list_options, cli_tokens_list},
    {"tokens", "show", "TOKEN", 1, 1, "one token", NULL, NULL, cli_tokens_show},
    {"tokens", "rotate", "TOKEN", 1, 1, "a new secret for a token; it is shown once",
     "Name, scopes and id stay. Give a grace when the token is the one that you use yourself.", &cli_tokens_rotate_options, cli_tokens_rotate},
    {"tokens", "revoke", "TOKEN", 1, 1, "refuse a token from now on", NULL, NULL, cli_tokens_revoke},

    {"claims", "create", "", 0, 0, "a one-time token by which a device gets its certificate",
     "For one id (a device that is there gets a new key), or for one new device of a product. Shown once; `pawl-agent enrol`\n"
     "takes it from a file. Whoever has it can enrol: send it as you would send a key.",
     &cli_claims_create_options, cli_claims_create},
    {"claims", "list", "", 0, 0, "claims, without their secrets", NULL, &cli_claims_list_options, cli_claims_list},
    {"claims", "show", "CLAIM", 1, 1, "one claim", NULL, NULL, cli_claims_show},
    {"claims", "revoke", "CLAIM", 1, 1, "refuse a claim from now on", "A certificate that it brought stays.", NULL, cli_claims_revoke},

    {"certificates", "list", "", 0, 0, "certificates that the server has issued", NULL, &cli_certificates_list_options, cli_certificates_list},
    {"certificates", "show", "SERIAL", 1, 1, "one of them", NULL, NULL, cli_certificates_show},
    {"certificates", "revoke", "SERIAL", 1, 1, "refuse the key of an issued certificate at once",
     "The device goes on with its other key, when it has just renewed; without one it is revoked.", &cli_verb_options, cli_certificates_revoke},
    {"certificates", "expiring", "", 0, 0, "devices whose certificate ends soon, the first to end first",
     "Of each device the certificate that it polled with last counts, whoever issued it.", &cli_certificates_expiring_options,
     cli_certificates_expiring},

    {"events", "list", "", 0, 0, "events, the newest first", NULL, &cli_events_list_options, cli_events_list},
    {"events", "follow", "", 0, 0, "events as they happen, one line each",
     "With --json one object a line. When the connection breaks it is made again, and no event is missed.", &cli_follow_options, cli_follow_events},
    {"webhooks", "create", "URL", 1, 1, "send events somewhere; the secret is shown once",
     "Each event is a POST, signed as Standard Webhooks say. docs/webhooks.md", &cli_webhooks_create_options, cli_webhooks_create},
    {"webhooks", "list", "", 0, 0, "all webhooks, without their secrets", NULL, &cli_webhooks_list_options, cli_webhooks_list},
    {"webhooks", "show", "WEBHOOK", 1, 1, "one webhook", NULL, NULL, cli_webhooks_show},
    {"webhooks", "set", "WEBHOOK", 1, 1, "change where it goes and what it gets", NULL, &cli_webhooks_set_options, cli_webhooks_set},
    {"webhooks", "enable", "WEBHOOK", 1, 1, "send again, also what still waits", NULL, NULL, cli_webhooks_enable},
    {"webhooks", "disable", "WEBHOOK", 1, 1, "send nothing; new events pass it by", NULL, NULL, cli_webhooks_disable},
    {"webhooks", "delete", "WEBHOOK", 1, 1, "send nothing there any more; its deliveries go with it", NULL, NULL, cli_webhooks_delete},
    {"webhooks", "rotate", "WEBHOOK", 1, 1, "a new secret; the old one signs as well for 24 hours", NULL, &cli_webhooks_rotate_options,
     cli_webhooks_rotate},
    {"webhooks", "test", "WEBHOOK", 1, 1, "send it a test event", NULL, NULL, cli_webhooks_test},
    {"webhooks", "deliveries", "WEBHOOK", 1, 1, "what was sent and what waits, the newest first", NULL, &cli_webhooks_deliveries_options,
     cli_webhooks_deliveries},
    {"webhooks", "retry", "WEBHOOK EVENT", 2, 2, "begin again with a delivery that is over", NULL, NULL, cli_webhooks_retry},

    {"audit", "list", "", 0, 0, "every change in its order", NULL, &cli_audit_list_options, cli_audit_list},
    {"audit", "checkpoint", "", 0, 0, "the newest signed checkpoint",
     "Keep it somewhere else: it shows later that nothing before it was changed or cut off.", &cli_audit_checkpoint_options, cli_audit_checkpoint},
    {"audit", "export", "FILE", 1, 1, "every change into a new file, one JSON object a line", NULL, NULL, cli_audit_export},
    {"audit", "verify", "EXPORT", 1, 1, "is an export genuine and whole? (offline)",
     "Computes the chain anew and holds it against a checkpoint. Fetch the checkpoint first, then the export: it must reach\n"
     "the checkpoint's row. Rows behind it are told as not covered.",
     &cli_audit_verify_options, cli_audit_verify},
    {"seal", "", "[FILE]", 0, 1, "encrypt a file, or standard input, as age v1", NULL, &cli_seal_options, cli_seal_file},
    {"unseal", "", "[FILE]", 0, 1, "open a sealed file, or standard input",
     "To a pipe the plain text goes as it is opened: only exit code 0 says that all of it was genuine.", &cli_unseal_options, cli_seal_open},
    {"backup", "create", "", 0, 0, "have the server write database and images into one file",
     "In the folder of [store] backups, beside the serving. The file stays there; `pawld restore` takes it.", &cli_backup_create_options,
     cli_backup_create},
    {"backup", "list", "", 0, 0, "the backups at the server, the newest first", NULL, NULL, cli_backup_list},
    {"top", "", "", 0, 0, "the fleet at a glance, again and again",
     "Devices, polls, deployments, what runs, rollouts and the newest events. Not on a terminal, or with --json: once.", &cli_top_options,
     cli_top_show},
    {"completion", "", "bash|zsh|fish", 1, 1, "a script that completes pawl's words in a shell",
     "bash: source <(pawl completion bash). zsh: pawl completion zsh >~/.zfunc/_pawl. fish: pawl completion fish | source.", NULL,
     cli_completion_write},
    {"whoami", "", "", 0, 0, "what the server knows of your token", NULL, NULL, cli_whoami_show},
};

const size_t cli_command_count = ARRAY_LEN(cli_commands);
