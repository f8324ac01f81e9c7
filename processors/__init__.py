"""From bytes to scores: decodes, admits, folds and scores events, as pure functions of values.

What an event meets, in order:

batch          the records of one shard on their way in, and the dead letters among them
partition      which shard a customer belongs to
reader         the records of a batch to its events, by columns where there are many
scan           plain records to columns in one pass over their bytes, without objects
scan_fields    which field a key names, for kernels
tokens         where texts and numbers of JSON end, for kernels
spans          those columns: fields, and texts by where they stand
hashing        XXH64 for kernels
decode         bytes to events, one by one; what cannot be one becomes a dead letter
event          the one schema: kinds, fields, limits
fault          what is wrong with a record, in words that tell its sender how to mend it
schema         the same schema as JSON Schema, for senders
columns        fields of the events to registers; a test on a text runs once per distinct text
attributes     what events tell of their customers, as registers
zones          what clocks show where a customer lives, for kernels
text_table     codes of texts that lie in an array, looked up by a kernel
machine        the vector machine: operations over registers
profiles       the rows of the customers seen last, one table a shard
fold           admits events and updates rows: the kernel that changes state
windows        what lies in the last so many days: newest events one by one, older ones in tiles
readings       an aggregate's columns as one number
scores         everything that a model computes, as the step sees it
health_score   the health kernel
health_ahead   when silence takes health past a border
earlier        the earlier of two times, of which 0 is none
anomaly_score  the anomaly kernel
series         what is unusual in one series of numbers
series_judged  what is said of one value of it, in words
averages       time averages of scores, for trends
life_totals    orders, returns and open tickets of a whole life
view           a customer as others read it
view_fields    the fields of that, in their order
view_text      the same JSON by a kernel, for many at a time
layout         where the columns of a row stand; rows to bytes and back, also across layouts

What rules and models meet, before any event:

plan           the PlanBuilder: everything that is asked for, asked only once
register       the asks, and the registers that they define
aggregate      kinds of aggregates, and how each can be read
tables         the compiled plan: the tables that the kernels read
model          a model as values
model_file     TOML to a checked model, or all of its mistakes
strict_table   a TOML table in which nothing is ignored
health         what health means: components and signals to asks and tables
anomaly        what is unusual for this customer: detectors to asks and tables
models/        the default model

What foretells churn and value, before any model file:

order_days     when each customer ordered, and what a model of churn sees of that at a cut
log_gamma      the logarithm of the gamma function, for arrays
pareto_nbd     churn where a customer is lost at any time: likelihood, P(alive), orders to come
mbg_cnbd       churn where he is lost at an order, with a rhythm or without; BG/NBD is one of these
gamma_gamma    what a customer spends on an order
descent        the lowest point of a smooth function within bounds
btyd_fit       those models fitted to order days
btyd_features  what a learned model sees of a customer at a cut
ridge          a logistic model held small, learnt without any training library
btyd_learning  who orders, and how much, learnt at earlier cuts

What all kernels are made with:

compiled       the one place where we meet the numba compiler
"""
