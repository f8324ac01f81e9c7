"""The commands: one file each, or one for a group of them.

Promise   A command's file is cheap to import, for `rapport --help` imports them all: what is heavy is
          imported when the command runs.

In the order of `rapport --help`, then what they share:

up              everything in one process
scale_out       worker, gateway and relay
ingest          a history into the log
replay          the engine over a history, without services
customer        one profile, and why it is as it is
why             why a rule fired for a customer, or did not
rules           rule files listed, taken into force
rules_check     rule files checked: mistakes, remarks, cost
rules_test      tests of rules, and what they cover
rules_backtest  what rules would have done over a history
rules_life      what people do to rules while they run
rules_lift      what acting on a rule is worth
topics          Kafka's topics made and measured
dlq             what failed for good, listed and tried again
endpoints       how receivers are, and those that were disabled, used again
judge           our scores over public data, beside published figures
judge_nab       anomalies of a series, by the Numenta Anomaly Benchmark
judge_btyd      churn and value, by CDNOW
schema          the JSON Schema of an event
doctor          whether all that is needed fits together
bench           the benchmarks
options         options that are settings, and printed forms
figures         what judgements share: options, and how figures are told
cluster         the Kafka cluster that settings mean
history         a file, a query or Kafka, for what runs over a history
store           the Redis of a running Rapport
"""
