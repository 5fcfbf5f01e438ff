/* The command groups: what commands.c needs of each group's file. */
#ifndef PAWL_CLI_GROUPS_H
#define PAWL_CLI_GROUPS_H

#include "cli/cli.h"

/* Each runs one row of the command table. `args` is the struct that the row's options describe. */
#define CLI_COMMAND(name) bool name(struct cli *cli, const void *args, const struct option_texts *operands, struct err *err) MUST_USE

/* keys.c: keys in a folder of their own, never on the server (the online pair excepted). */
extern const struct cli_options cli_keys_init_options;
extern const struct cli_options cli_keys_status_options;
extern const struct cli_options cli_keys_export_options;
CLI_COMMAND(cli_keys_init);
CLI_COMMAND(cli_keys_list);
CLI_COMMAND(cli_keys_status);
CLI_COMMAND(cli_keys_export);

/* keys_new.c */
extern const struct cli_options cli_keys_new_options;
CLI_COMMAND(cli_keys_new);

/* root.c */
extern const struct cli_options cli_root_init_options;
extern const struct cli_options cli_root_show_options;
extern const struct cli_options cli_root_rotate_options;
extern const struct cli_options cli_root_sign_options;
extern const struct cli_options cli_root_publish_options;
CLI_COMMAND(cli_root_init);
CLI_COMMAND(cli_root_show);
CLI_COMMAND(cli_root_rotate);
CLI_COMMAND(cli_root_sign);
CLI_COMMAND(cli_root_publish);

/* targets.c */
extern const struct cli_options cli_targets_delegate_options;
extern const struct cli_options cli_targets_show_options;
CLI_COMMAND(cli_targets_delegate);
CLI_COMMAND(cli_targets_show);

/* seal.c: age files */
extern const struct cli_options cli_seal_options;
extern const struct cli_options cli_unseal_options;
CLI_COMMAND(cli_seal_file);
CLI_COMMAND(cli_seal_open);
CLI_COMMAND(cli_seal_identity);

/* publish.c, countersign.c, lifecycle.c and release.c */
extern const struct cli_options cli_publish_options;
extern const struct cli_options cli_prepare_options;
extern const struct cli_options cli_countersign_options;
extern const struct cli_options cli_attach_options;
extern const struct cli_options cli_renew_options;
extern const struct cli_options cli_reissue_options;
extern const struct cli_options cli_withdraw_options;
extern const struct cli_options cli_release_list_options;
CLI_COMMAND(cli_publish_release);
CLI_COMMAND(cli_publish_prepare);
CLI_COMMAND(cli_countersign_sign);
CLI_COMMAND(cli_countersign_attach);
CLI_COMMAND(cli_lifecycle_renew);
CLI_COMMAND(cli_lifecycle_reissue);
CLI_COMMAND(cli_lifecycle_withdraw);
CLI_COMMAND(cli_release_list);
CLI_COMMAND(cli_release_show);

/* products.c */
extern const struct cli_options cli_products_list_options;
extern const struct cli_options cli_products_create_options;
CLI_COMMAND(cli_products_list);
CLI_COMMAND(cli_products_show);
CLI_COMMAND(cli_products_create);
CLI_COMMAND(cli_products_set_policy);

/* devices.c; what most verbs of one object have in common is in verb.h. */
extern const struct cli_options cli_devices_list_options;
extern const struct cli_options cli_devices_add_options;
extern const struct cli_options cli_devices_accept_options;
extern const struct cli_options cli_devices_tag_options;
extern const struct cli_options cli_devices_set_options;
CLI_COMMAND(cli_devices_list);
CLI_COMMAND(cli_devices_show);
CLI_COMMAND(cli_devices_add);
CLI_COMMAND(cli_devices_accept);
CLI_COMMAND(cli_devices_revoke);
CLI_COMMAND(cli_devices_retire);
CLI_COMMAND(cli_devices_tag);
CLI_COMMAND(cli_devices_set);
bool cli_devices_list_on(struct cli *cli, const char *product, const char *version, struct err *err) MUST_USE; /* that run this version */

/* devices_bulk.c */
extern const struct cli_options cli_devices_import_options;
extern const struct cli_options cli_devices_export_options;
CLI_COMMAND(cli_devices_import);
CLI_COMMAND(cli_devices_export);

/* ddi.c: existing clients */
extern const struct cli_options cli_ddi_client_options;
extern const struct cli_options cli_ddi_log_options;
CLI_COMMAND(cli_ddi_client);
CLI_COMMAND(cli_ddi_log);

/* deployments.c */
extern const struct cli_options cli_deployments_list_options;
CLI_COMMAND(cli_deployments_list);
CLI_COMMAND(cli_deployments_show);
CLI_COMMAND(cli_deployments_assign);
CLI_COMMAND(cli_deployments_cancel);
CLI_COMMAND(cli_deployments_retry);
CLI_COMMAND(cli_deployments_force_close);

/* claims.c */
extern const struct cli_options cli_claims_create_options;
extern const struct cli_options cli_claims_list_options;
CLI_COMMAND(cli_claims_create);
CLI_COMMAND(cli_claims_list);
CLI_COMMAND(cli_claims_show);
CLI_COMMAND(cli_claims_revoke);

/* rollouts.c, rollouts_plan.c and rollouts_watch.c */
extern const struct cli_options cli_rollouts_plan_options;
extern const struct cli_options cli_rollouts_start_options;
extern const struct cli_options cli_rollouts_list_options;
extern const struct cli_options cli_rollouts_devices_options;
extern const struct cli_options cli_rollouts_watch_options;
CLI_COMMAND(cli_rollouts_plan_create);
CLI_COMMAND(cli_rollouts_plan_preview);
CLI_COMMAND(cli_rollouts_plan_start);
CLI_COMMAND(cli_rollouts_list);
CLI_COMMAND(cli_rollouts_show);
CLI_COMMAND(cli_rollouts_devices);
CLI_COMMAND(cli_rollouts_pause);
CLI_COMMAND(cli_rollouts_resume);
CLI_COMMAND(cli_rollouts_stop);
CLI_COMMAND(cli_rollouts_approve);
CLI_COMMAND(cli_rollouts_retry);
CLI_COMMAND(cli_rollouts_delete);
CLI_COMMAND(cli_rollouts_watch);

/* decision.c */
CLI_COMMAND(cli_decision_show);

/* tokens.c */
extern const struct cli_options cli_tokens_list_options;
extern const struct cli_options cli_tokens_create_options;
extern const struct cli_options cli_tokens_rotate_options;
CLI_COMMAND(cli_tokens_list);
CLI_COMMAND(cli_tokens_show);
CLI_COMMAND(cli_tokens_create);
CLI_COMMAND(cli_tokens_rotate);
CLI_COMMAND(cli_tokens_revoke);

/* certificates.c */
extern const struct cli_options cli_certificates_list_options;
extern const struct cli_options cli_certificates_expiring_options;
CLI_COMMAND(cli_certificates_list);
CLI_COMMAND(cli_certificates_show);
CLI_COMMAND(cli_certificates_revoke);
CLI_COMMAND(cli_certificates_expiring);

/* backup.c */
extern const struct cli_options cli_backup_create_options;
CLI_COMMAND(cli_backup_create);
CLI_COMMAND(cli_backup_list);

/* top.c */
extern const struct cli_options cli_top_options;
CLI_COMMAND(cli_top_show);

/* completion.c */
CLI_COMMAND(cli_completion_write);

/* events.c and follow.c */
extern const struct cli_options cli_events_list_options;
extern const struct cli_options cli_follow_options;
CLI_COMMAND(cli_events_list);
CLI_COMMAND(cli_follow_events);

/* webhooks.c */
extern const struct cli_options cli_webhooks_list_options;
extern const struct cli_options cli_webhooks_create_options;
extern const struct cli_options cli_webhooks_set_options;
extern const struct cli_options cli_webhooks_rotate_options;
extern const struct cli_options cli_webhooks_deliveries_options;
CLI_COMMAND(cli_webhooks_list);
CLI_COMMAND(cli_webhooks_show);
CLI_COMMAND(cli_webhooks_create);
CLI_COMMAND(cli_webhooks_set);
CLI_COMMAND(cli_webhooks_enable);
CLI_COMMAND(cli_webhooks_disable);
CLI_COMMAND(cli_webhooks_delete);
CLI_COMMAND(cli_webhooks_rotate);
CLI_COMMAND(cli_webhooks_test);
CLI_COMMAND(cli_webhooks_deliveries);
CLI_COMMAND(cli_webhooks_retry);

/* audit.c, audit_export.c and audit_verify.c */
extern const struct cli_options cli_audit_list_options;
extern const struct cli_options cli_audit_checkpoint_options;
extern const struct cli_options cli_audit_verify_options;
CLI_COMMAND(cli_audit_list);
CLI_COMMAND(cli_audit_export);
CLI_COMMAND(cli_audit_checkpoint);
CLI_COMMAND(cli_audit_verify);

/* whoami.c */
CLI_COMMAND(cli_whoami_show);

#endif
