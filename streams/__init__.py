"""The engine in the world: logs, clock, store, outbox, gateway and command line.

The way in, over HTTP:

web                 routes, and what each answers
web_reading         what it reads: customers, actions, and why
web_rules           rules: shown, read anew, and changed
access              who may use them
intake              POST /v1/events: 200 only when the events are durable
inflate             gzip, without believing what it says about its size
ingest              a body to events, the good and the bad apart
problem             errors as RFC 9457 has them
appender            the port of a log for who has whole events in hand
redis_appender      into the embedded log
kafka_producer      into Kafka
delivery_report     whether a producer's report says that a record is there

The way in, from files and databases:

source              a file or a query whose rows become records
query               one SELECT of anything that DuckDB reads
mapping             columns of a query to fields of an event
backfill            what `rapport ingest` does; resumable
checkpoint          how many rows are durable
token_bucket        so many events a second at most
gateway_appender    into a running gateway, over HTTP
progress            the bar

The embedded log:

redis_log           one stream a shard, read by one thread
log_reader          one question to Redis for all shards, which may wait for a while
log_entries         its answers to records
redis_server        the redis-server that `rapport up` starts
redis_executable    which one

The Kafka log:

kafka_settings      what each client of Kafka is told
kafka_access        the settings' table [kafka]
kafka_security      TLS and SASL, in the words of each client
topics              made, checked and measured
faust_log           the two planes together
control_plane       Faust holds the group, and fetches nothing
data_plane          librdkafka carries records through step and commit, on one thread
holding             what it has in hand of its shards
beginnings          where a claimed shard starts to read
polling             messages with the least latency, and who was silent meanwhile
messages            many of librdkafka's messages at once, field by field
feed                what one shard reads, from messages to batches
offsets             where partitions begin or end, as their brokers say now
holes               offsets that are missing, and whether a record is missing with them
align               the topics of a shard advance together in time

One shard:

ownership           which shards are to be claimed, and when to try again
claimer             makes this process the owner of shards
kafka_claim         how a worker on Kafka claims
partitions          how many shards this Redis is for
fence               who owns a shard, and how far it has come
batch_size          how many records the next batches may have
flight              a batch that is folded, with its commit under way
firing              when timers are looked at, and how long a wait for records may be
shard               an owned shard, from records to commit
work                a step that is not committed yet, and who is told when it is
rows                profile rows, read for the table
step                one batch, from events to everything that is to be stored and done: the engine
rounds              a batch in which timers come due, so that each fires in its place
outcome             what a batch leads to, also where it was stepped in several rounds
scratch             the space in which batches are stepped
staleness           actions whose cause was no news when it arrived
timers              an index of whose timer is due first
commit              one compare-and-set of everything that a batch has changed
torn_tail           what a crash leaves at the end of Redis' file
patience            the same work again, while Redis or the log is away
shard_status        how a shard is, for probes, metrics and people

Redis:

keys                the names of everything that we keep there
store               one connection that never repeats a command by itself
packing             commands to the bytes that Redis reads
store_async         the same for asyncio
safety              whether a Redis keeps what it is given
read                what is shown of the store

What cannot be folded:

redis_dead_letters  written, in the embedded log
kafka_dead_letters  written, in Kafka
dead_letters        looked at, and put back

The way out:

outbox              actions, stored in the same commit as their reason
deliveries          who delivers is told of shards and commits
relaying            a relay with all that it needs
relay               committed actions to their sinks, and what came of each
owned               the books of one shard
dispatch            actions in hand to attempts under way
lane                one endpoint's queue
overtaken           of an alert's beginning and end, the older is not delivered after the newer
delivery            an action, and how far its delivery has come
receipts            what is recorded of deliveries, and in which order
receipts_redis      in Redis
receipts_scripts    what Redis carries out as a whole
receipts_memory     in memory, for tests and simulations
complaints          what cannot be done for now, told once
given_up            what nobody took, looked at and sent again; endpoints enabled
endpoints           what the targets of rules stand for

Rules and models, while running:

loader              files to an engine
rulebook            the engine in force, and how another takes its place
controls            what people, and the guard, have said about rules while they run
controls_redis      that in Redis, with its history; changed by who has read it
controlled          what files say and what was said by command, in one engine
guard               whether a rule does far more than was expected of it
guard_counts        what each rule did, by the hour and by the day
guard_watch         takes over what was said, and stops rules that do far too much
rule_life           what people do to a rule while it runs
lift                what acting on a rule is worth, and how surely that is known
lift_replay         that of a history
kept_history        what the embedded log has folded, in files, for backtests
kafka_history       the history that Kafka still holds, as a source
kernels             imported late, with a word to who waits for the compiler

Why a rule has fired, or has not:

asked               what is asked of us by name, and what is said where there is no such thing
inquiry             a rule's name and a customer's id, to the explanation of one with the other
moment              what rules would see of a customer at a time, without anything being stored
behind              what a row still knows of the events behind a value
standing            what a row remembers of a rule, and what would hold the rule back
why                 the explanation, as JSON and in a sentence

Without services:

replay              the engine over a history, on the event clock
features            one row an event, with its features: training data
backtest            what rules would have done over a history
fire_lines          every fire of a backtest, a line each
rule_tests          tests of rules, run, and what of them fails
rule_cases          test files to cases: events at times, and fires
rule_case_keys      the keys of test files, and the places of mistakes
rule_coverage       what tests have shown of rules and their clauses
foretold            how well fires foretell an outcome
ranking             how well scores put what is bad in front
figures             figures of a judgement, beside published ones and bars
judge_nab           the detector of series, by the Numenta Anomaly Benchmark
nab_series          the series and labelled windows of that
cdnow               purchases of a text file, as a source
order_history       the orders that the engine admits, by customer and day
judge_btyd          churn and value, by CDNOW and what was published of it

What operators see:

metrics             everything that Prometheus is told
rule_metrics        those of rules as a whole: in force, reloaded, paused
makers              what all metrics have in common
buckets             what their histograms count under
tally               counters that take a whole batch at once
accounting          what is counted of each commit
probes              alive, and ready
logs                one line a message

What people see of `rapport up`:

board               gathers what happens
snapshot            what it gathers, at one moment
live_view           draws it

The simulated shop:

stage               `rapport up --demo` as a whole
demo                history first, then life as it happens
shop                its customers and their events
stories             how they have lived
scenes              what one does within minutes or days
receiver            where the demo's webhooks and alerts go

The processes:

outfit              what a process that folds is made of
beside              tasks that live as long as a block, and whose faults are told
up                  everything in one process
worker              one of many, over Kafka
gateway             HTTP into Kafka
lone_relay          delivery alone
follower            how it learns what there is to deliver
scale_out           what these share

Beneath it all:

settings            read once, checked whole
endpoint_table      the settings' tables [endpoints.NAME]
given               one setting, as it was given
dangers             settings that would work, and lose or give away what is entrusted to us
clock               so that whatever waits can be tested without waiting
errors              what can go wrong between the engine and the world
cli                 the command line
commands/           one file a command
"""
