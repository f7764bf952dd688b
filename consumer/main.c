/* sluice-consumer: carries CI-success events from Kafka to CD triggers, and what one
 * needs around that. */
#include "base/command.h"
#include "base/completion.h"
#include "commands.h"
#include "dlq.h"

static const struct command commands[] = {
    {.name = "run",
     .summary = "Work: take events, call targets, until told to stop",
     .details =
         "SIGTERM or SIGINT: drain, at most stop.grace; a second one: stop at once. Exit "
         "code 0: drained;\n75: work was given back and will be delivered again; 70: a "
         "bug, "
         "or no progress; 76: put out by\nthe group; 66, 69, 77, 78: it could not "
         "start.\nSIGHUP: read the configuration again, all of it or nothing. SIGUSR1: "
         "write what lanes and targets\ndo into the log. SIGUSR2: turn the level of the "
         "log.",
     .run = run_run},
    {.name = "demo",
     .summary = "See the whole system at work, in one command",
     .details =
         "A mock Kafka, a private Redis, a CD target that fails now and then, consumers, "
         "and events: all in\nmemory, on loopback, gone at the end. Ctrl-C drains and "
         "sums up; a second one ends at once. Exit\ncode 0: the books balance; 75: "
         "something waits for another try; 70: they do not balance; 69: a part\ncould "
         "not start or ended.",
     .flags = demo_flags,
     .run = demo_run},
    {.name = "demo-broker",
     .words = "TOPIC:PARTITIONS...",
     .words_max = 32,
     .details = "Hosts the demo's mock Kafka until SIGTERM.",
     .run = demo_broker_run},
    {.name = "check",
     .words = "[FILE...]",
     .words_max = 16,
     .summary = "Check the configuration, offline",
     .details =
         "Names every fault in one pass, with file:line:col and a code; `help SL-C02` "
         "says more about\none. Opens no socket, and reads no secret unless asked. "
         "Exit code 78 when there is an error,\n66 when the file is missing.",
     .flags = check_flags,
     .run = check_run},
    {.name = "config show",
     .summary = "Show the effective configuration",
     .details = "Defaults < file < environment < flags. Credentials are masked. The YAML "
                "loads again.",
     .flags = config_show_flags,
     .run = config_show_run},
    {.name = "config diff",
     .summary = "Say which consumers run another configuration than this",
     .details = "By the hash of what workers should share, as their heartbeats tell it. "
                "Exit code 1: some differ.",
     .run = config_diff_run},
    {.name = "config init",
     .summary = "Print a configuration to begin with",
     .details = "sluice-consumer config init --target argocd > sluice.yaml",
     .flags = config_init_flags,
     .run = config_init_run},
    {.name = "config schema",
     .summary = "Print a JSON Schema of it, for editors",
     .run = config_schema_run},
    {.name = "explain",
     .words = "EVENT|-",
     .words_max = 1,
     .summary = "Say what would happen to an event",
     .details =
         "Which targets match and why, and the exact request, secrets masked; nothing is "
         "sent. EVENT is\na file with the event's JSON, or with {\"key\", \"headers\", "
         "\"value\"} as `sluice-producer publish\n--print` prints it. Exit code 65 when "
         "the "
         "event is bad, 1 when --expect is not met.",
     .flags = explain_flags,
     .run = explain_run},
    {.name = "dlq list",
     .summary = "List dead letters, oldest first",
     .details = "What lies in the group's dead-letter topic and is not dealt with yet.",
     .flags = dlq_list_flags,
     .run = dlq_list_run},
    {.name = "dlq show",
     .words = "WHERE|EVENT_ID",
     .words_max = 1,
     .summary = "Show a dead letter: its story, headers and body",
     .details = "WHERE is its place in the dead-letter topic, as dlq list shows it "
                "(0:17). Exit code 1: there\nis none.",
     .run = dlq_show_run},
    {.name = "dlq redrive",
     .summary = "Send dead letters again, oldest first",
     .details =
         "They go over the redrive tier through ledger and rate limits like anything "
         "else; "
         "the original\nrecords stay. Without --yes it asks on a terminal, and else only "
         "says what it would do. Ctrl-C\nstops between two letters and says how to go "
         "on. "
         "Exit code 75: stopped, or another is at work.",
     .flags = dlq_redrive_flags,
     .run = dlq_redrive_run},
    {.name = "dlq drop",
     .summary = "Note dead letters as dealt with, without sending them",
     .details = "The records stay in the topic; dlq list --handled shows them. Without "
                "--yes it asks on a\nterminal, and else changes nothing.",
     .flags = dlq_drop_flags,
     .run = dlq_drop_run},
    {.name = "dlq export",
     .summary = "Print the events of dead letters, one JSON document a line",
     .details =
         "sluice-consumer dlq export --reason schema > events.jsonl, mend them, then\n"
         "sluice-producer publish events.jsonl",
     .flags = dlq_export_flags,
     .run = dlq_export_run},
    {.name = "replay",
     .summary = "Work events once more, by time, offset or id: a plan first",
     .details =
         "Without --into: the plan, and nothing changes. --into topic sends the units "
         "that "
         "no delivery\nrecord says were triggered, as dlq redrive sends; --into group "
         "moves "
         "the group's offsets back and\nneeds all workers stopped. Only what the group "
         "has "
         "committed is replayed. Exit code 75: stopped,\nor somebody is in the way.",
     .flags = replay_flags,
     .run = replay_run},
    {.name = "doctor",
     .summary = "Check the configuration against what is really there",
     .details =
         "Kafka, the topics, the group, Redis, and each target, in an order in which "
         "what "
         "rests on a\nfailed check is skipped; each fault with its next step. Sends no "
         "trigger: a target gets a\nconnection and a TLS handshake. Exit code 78: "
         "something is missing or not valid, 77: refused,\n69: not reached.",
     .flags = doctor_flags,
     .run = doctor_run},
    {.name = "status",
     .summary = "Show the fleet: consumers, targets, clusters, lag, what is wrong",
     .details =
         "Read from the consumers' heartbeats in Redis; from Kafka alone when Redis is "
         "gone. What is not\nknown is shown as -, never as 0. --json: one object, schema "
         "sluice.fleet/1. With --exit-code: 0: all\nis well; 1: a line is starred; 69: "
         "nobody can say.",
     .flags = status_flags,
     .run = status_run},
    {.name = "top",
     .summary = "Show the fleet on the terminal, every second anew",
     .details = "? names the keys. Not on a terminal: one page, as status.",
     .run = top_run},
    {.name = "wait",
     .summary = "Wait until the fleet is so: no lag, ready, so many consumers",
     .details =
         "sluice-consumer wait --lag 0 --timeout 2m. Several conditions must hold at the "
         "same time. Exit code\n75: the time is over.",
     .flags = wait_flags,
     .run = wait_run},
    {.name = "tap",
     .summary = "Show deliveries as they happen, in the whole fleet",
     .details = "A sample: each consumer shows up to 20 deliveries a second and 50 that "
                "failed, and how many more\nthere were; and what operators did. Begins "
                "with the last few. Ends at Ctrl-C, after -n or --for.",
     .flags = tap_flags,
     .run = tap_run},
    {.name = "trace",
     .words = "EVENT_ID",
     .words_max = 1,
     .summary = "Tell the life of one event",
     .details = "When it was published, taken, batched, each call and what came back, "
                "and how it "
                "ended for each\ntarget. Read from Redis (history.events, history.ttl), "
                "else from "
                "the dead letters it left. Exit\ncode 1: nothing is known of it.",
     .run = trace_run},
    {.name = "workflow",
     .words = "APP",
     .words_max = 1,
     .summary = "Say how an application's last CI success stands",
     .details = "What the fleet saw of it and what became of it at each target, from "
                "Redis; and how the run\nstands now: the CI system is asked as "
                "workflow.ci says (`help workflow.ci`), each target as its\nkind can be "
                "asked. Who does not answer within workflow.timeout is named. Exit code "
                "1: the\napplication is not known, or one side is an error or a timeout.",
     .run = workflow_run},
    {.name = "kube get",
     .words = "OBJECT...|-",
     .words_max = COMMAND_WORDS_MAX,
     .summary = "Read objects of Kubernetes clusters, many in one call",
     .details =
         "An OBJECT is API/KIND/NAME or API/KIND/NAMESPACE/NAME, such as v1/Node/n1 or\n"
         "apps/v1/Deployment/shop/api; CLUSTER: may stand in front. - reads them from "
         "standard input, one a\nline. The clusters are those of `clusters`. What could "
         "be "
         "read is shown in the order asked, the\nrest is named on standard error. Exit "
         "code 1: some are not there; 69: a cluster did not answer, or\nnot in time; 77: "
         "refused; 78: not configured.",
     .flags = kube_get_flags,
     .run = kube_get_run},
    {.name = "kube clusters",
     .summary = "Check whether the clusters answer",
     .details =
         "All of `clusters`, cluster_check.width at a time: GET /livez, which must say "
         "ok. Virtual ones are not\ndialled. Exit code 69: one is not reached, in time "
         "or "
         "well; 77: one refuses us, or its certificate is\nwrong; 78: one has no usable "
         "credentials.",
     .flags = kube_clusters_flags,
     .run = kube_clusters_run},
    {.name = "kube status",
     .summary = "Say whether an application sleeps in a cluster",
     .details =
         "What a target's gate would find: the workloads with these labels, which of "
         "them "
         "were hibernated, and\nhow well they are. Exit code 69: the cluster did not "
         "answer; 77: it refuses us; 78: not configured,\nor it has none of these kinds.",
     .flags = kube_status_flags,
     .run = kube_status_run},
    {.name = "kube wake",
     .summary = "Wake an application that sleeps in a cluster",
     .details =
         "Each workload with these labels that was hibernated gets back the replicas it "
         "had. It is said what would\nbe done; --yes does it. Ctrl-C finishes the one in "
         "hand and begins no other. Exit code 75: stopped so;\n69: the cluster did not "
         "answer; 77: it refuses; 78: not configured, or it cannot be told to how many.",
     .flags = kube_wake_flags,
     .run = kube_wake_run},
    {.name = "kube hibernate",
     .summary = "Put an application to sleep in a cluster",
     .details =
         "Each workload with these labels goes to no replicas, and remembers how many it "
         "had. Otherwise as\n`kube wake`. An autoscaler or who owns it in Git may scale "
         "it "
         "up again.",
     .flags = kube_wake_flags,
     .run = kube_hibernate_run},
    {.name = "kube wakings",
     .summary = "List what was woken or put to sleep",
     .details = "The last hundred, the newest first, from Redis: which application, by "
                "whom (a consumer whose gate\ndid it, or a person), and what became of "
                "each of its workloads.",
     .run = kube_wakings_run},
    {.name = "console",
     .summary = "Serve a page that shows the fleet live, and its API",
     .details =
         "On console.listen (127.0.0.1:8080), until SIGTERM. It only shows, unless "
         "console.read_only is false:\nthen who has the token of console.token_file may "
         "act, too. It needs what operators' commands need:\nKafka's and Redis' "
         "credentials, none of the targets'. With `tokens` in the configuration it "
         "answers\nonly who sends one, and lets each do what its roles allow; the same "
         "holds for /api/v1/ of the workers.\nSIGHUP: read tokens and roles again.",
     .flags = console_flags,
     .run = console_run},
    {.name = "pause",
     .words = "TARGET",
     .words_max = 1,
     .summary = "Keep calls away from a target, in the whole fleet",
     .details =
         "Its units wait in the retry topics, without attempts, and their budget stands "
         "still; calls that\nare out end. Exit code 0: every consumer that is alive has "
         "obeyed; 75: some will later.",
     .flags = pause_flags,
     .run = pause_run},
    {.name = "resume",
     .words = "TARGET",
     .words_max = 1,
     .summary = "Let a paused target be called again",
     .details =
         "What waits goes on when its retry topic's delay is over. Exit code 1: it "
         "was not paused.",
     .flags = resume_flags,
     .run = resume_run},
    {.name = "drain",
     .words = "[CONSUMER]",
     .words_max = 1,
     .summary = "Have a consumer leave the group and stay up",
     .details =
         "It ends its batches, leaves, and says `drained` until --undo or until its "
         "process starts again;\nothers take its partitions. CONSUMER is the name that "
         "`status` shows. Exit code 75 with --wait: not\nyet within --timeout.",
     .flags = drain_flags,
     .run = drain_run},
    {.name = "reload",
     .summary = "Have every consumer read its configuration again",
     .details =
         "Each reads its own file, as SIGHUP does; all of it or nothing: on a fault, or "
         "where a key changed\nthat only a restart changes, it keeps the old one and "
         "says "
         "so. `help KEY` says whether a reload\nchanges it. Exit code 1 with --wait: not "
         "every consumer took it.",
     .flags = reload_flags,
     .run = reload_run},
    {.name = "healthcheck",
     .summary = "Ask the worker on this host whether it is alive",
     .details =
         "GET /livez on http.listen. Exit code 0: yes; 1: it says no; 69: no answer.",
     .flags = healthcheck_flags,
     .run = healthcheck_run},
    {.name = "completion",
     .words = "bash|zsh|fish",
     .words_max = 1,
     .summary = "Print a completion script for a shell",
     .details =
         "sluice-consumer completion bash > /etc/bash_completion.d/sluice-consumer",
     .run = completion_run},
    {.name = "manual",
     .words = "[sluice.yaml]",
     .words_max = 1,
     .details = "What `make man` turns into manual pages.",
     .run = manual_run},
    {.name = "version", .summary = "Print the versions", .run = version_run},
    {.name = "help",
     .words = "[COMMAND|CODE|KEY]",
     .words_max = 2,
     .summary = "Say more about a command, a code, a key"},
    {.name = NULL},
};

static const struct program program = {
    .name = "sluice-consumer",
    .summary = "Carry CI-success events from Kafka to CD triggers.",
    .commands = commands,
    .flags = common_flags,
    .help_topic = help_topic,
};

int main(int argc, char **argv)
{
    int code = program_main(&program, argc, argv);
    bool written = fflush(stdout) == 0 && !ferror(stdout);
    return written || code != 0 ? code : EXIT_IO;
}
