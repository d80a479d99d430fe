"""The command line. Exit codes: 0 done, 1 failed or not valid, 2 cannot tell or wrong arguments.

Commands import what they need when they run, so that `--help` and `verify` start at once.
"""

import sys
from collections.abc import Callable

from cyclopts import App

from auditkeep import __version__, logs
from auditkeep.cli import (
    access,
    activity,
    backup,
    collect,
    credentials,
    doubtful,
    explaining,
    holds,
    ingest,
    keeping,
    keys,
    log,
    notify,
    objects,
    organization,
    policies,
    quotas,
    retention,
    roles,
    run,
    sessions,
    setup,
    tenant,
    tokens,
    trail,
    usage,
    verify,
    witness,
)
from auditkeep.errors import AuditkeepError

COMMANDS: dict[str, Callable[..., int]] = {
    "init": setup.init,
    "serve": run.serve,
    "demo": run.demo,
    "operations": setup.operations,
    "model": setup.model,
    "keys create": access.create,
    "keys list": access.list_keys,
    "keys disable": access.disable,
    "keys new": keys.new,
    "keys show": keys.show,
    "keys rotate": keys.rotate,
    "keys log": keys.log_key,
    "keys report": keys.report_key,
    "keys escrow": keys.escrow,
    "keys recover": keys.recover,
    "access explain": explaining.explain,
    "access policies put": policies.put,
    "access policies get": policies.get,
    "access policies list": policies.list_policies,
    "access policies delete": policies.delete,
    "access policies attach": policies.attach,
    "access policies detach": policies.detach,
    "roles put": roles.put,
    "roles list": roles.list_roles,
    "roles delete": roles.delete,
    "sessions list": sessions.list_sessions,
    "sessions revoke": sessions.revoke,
    "credentials": credentials.credentials,
    "ingest": ingest.ingest,
    "backfill": ingest.backfill,
    "collect plan": collect.plan,
    "collect run": collect.run,
    "collect status": collect.status,
    "collect gaps": collect.list_gaps,
    "collect baseline": collect.baseline,
    "collect account": collect.asked_account,
    "collect policy": collect.policy,
    "collect stackset": collect.stackset,
    "collect conformance-pack": collect.conformance_pack,
    "worker": collect.worker,
    "seal": ingest.seal,
    "compact": ingest.compact,
    "conflicts": ingest.conflicts,
    "warnings": ingest.warnings,
    "organization show": organization.show,
    "organization refresh": organization.refresh,
    "organization remove": organization.remove,
    "stock": ingest.stock,
    "trail add": trail.add,
    "trail list": trail.list_trails,
    "trail remove": trail.remove,
    "trail read": trail.read,
    "activity list": activity.list_records,
    "activity export": activity.export,
    "log key": log.key,
    "log checkpoint": log.checkpoint,
    "log invite": log.invite,
    "log anchors": log.anchors,
    "log audit": log.audit,
    "log recover": log.recover,
    "log token create": tokens.create_log,
    "log token list": tokens.list_log,
    "log token revoke": tokens.revoke_log,
    "events token create": tokens.create_events,
    "events token list": tokens.list_events,
    "events token revoke": tokens.revoke_events,
    "backup create": backup.create,
    "backup verify": backup.verify,
    "backup restore": backup.restore,
    "backup list": backup.list_backups,
    "backup prune": backup.prune,
    "notify address put": notify.put_address,
    "notify address list": notify.list_addresses,
    "notify address delete": notify.delete_address,
    "notify webhook put": notify.put_webhook,
    "notify webhook list": notify.list_webhooks,
    "notify webhook delete": notify.delete_webhook,
    "notify webhook test": notify.try_webhook,
    "notify failures": notify.failures,
    "quotas list": quotas.list_quotas,
    "quotas set": quotas.set_quota,
    "quotas reset": quotas.reset_quota,
    "hold place": holds.place,
    "hold release": holds.release,
    "hold list": holds.list_holds,
    "keeping show": keeping.show,
    "keeping set": keeping.set_policy,
    "retention show": retention.show,
    "retention set": retention.set_days,
    "retention run": retention.run,
    "objects check": objects.check,
    "tenant list": tenant.list_tenants,
    "tenant certificate": tenant.certificate,
    "usage": usage.usage,
    "verify": verify.verify,
    "pin": verify.pin,
    "witness init": witness.init,
    "witness watch": witness.watch,
    "witness show": witness.show,
    "witness serve": witness.serve,
}
"""Every command by the words that call it; `docs/cli.md` has a heading for each."""


def build() -> App:
    """The whole command tree."""
    app = App(
        name="auditkeep",
        help="An open, self-hosted audit manager that speaks the AWS Audit Manager API.",
        version=__version__,
    )
    groups: dict[str, App] = {}
    about = {
        "access": "Who may do what.",
        "access policies": "Identity policies: IAM's JSON documents.",
        "backup": "Backups of data, and apart from them of keys.",
        "collect": "What is asked of AWS, what came of it, and what it needs.",
        "organization": "Which accounts belong together.",
        "keys": "Access keys of the API's users, and the keys that protect data.",
        "log": "The transparency log.",
        "log token": "Who may read the log's public files over HTTP.",
        "events": "Events that a bus brings by itself.",
        "events token": "Which bus may bring which tenant its events.",
        "notify": "Where notices and events go, and what became of them.",
        "notify address": "The address book: which mailbox belongs to whom.",
        "notify webhook": "URLs that notices and events are posted to.",
        "quotas": "How much an account may have in a region.",
        "roles": "Roles that may be taken for a while.",
        "sessions": "Who has taken which role.",
        "trail": "Where CloudTrail delivers, and how far that was read.",
        "witness": "An independent witness, for anybody's log.",
        "hold": "Legal holds: what nobody may destroy until it is released.",
        "objects": "Where objects lie: the store of segments, files and tiles.",
        "keeping": "Which of the facts that arrive are kept.",
        "retention": "How long evidence is kept.",
        "tenant": "Tenants that were destroyed as a whole.",
        "activity": "Calls of the API and acts of the operator.",
    }
    for words, function in COMMANDS.items():
        *path, name = words.split()
        parent, group = app, ""
        for word in path:
            group = f"{group} {word}".strip()
            if group not in groups:
                groups[group] = App(name=word, help=about[group])
                parent.command(groups[group])
            parent = groups[group]
        parent.command(doubtful.warning(words, function), name=name)
    return app


def main() -> None:
    """The console script: runs a command and exits with its code."""
    logs.begin()
    try:
        code = build()(sys.argv[1:], result_action="return_value", exit_on_error=True)
    except AuditkeepError as error:
        print(f"auditkeep: {logs.redacted(str(error))}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("auditkeep: interrupted; what was committed stays.", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(0)
    sys.exit(code if isinstance(code, int) else 0)


if __name__ == "__main__":
    main()
