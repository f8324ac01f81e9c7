"""From scores to actions: parses, compiles and evaluates rules, as pure functions of values.

What a rule file meets, in order:

load           files to a set of rules, or every mistake in them
position       where in a file each key and value stands
definition     one rule's table, key by key
table          that table, with the place of each key and value
sequence_keys  its `sequence` and `key`
held_keys      what holds it back: hold-out, consent, quiet hours, caps; its purpose and stage
target_keys    its `then`
duration       how durations are written, and how people say them
template       the sentence of a reason, with values in curly brackets
body           what a target gets instead of our own payload, with values filled in
parse          text to a syntax tree
grammar.lark   the closed grammar of expressions
tree           the parser's tree to ours
money          a comparison with an amount of one currency, as one of numbers
syntax         the nodes of the syntax tree
check          a syntax tree to an expression whose types fit, or to all of its mistakes
vocabulary     every word that a rule may use
reading        functions over events, checked
operation      operators, checked
expression     conditions and values that are known to make sense
sequence       what has to happen in order, and what must not
restraint      what keeps a rule from acting: caps and quiet hours
rule           a rule that has passed every check
ruleset        the rules that were loaded together
compile        expressions to registers of the plan
errors         a mistake, with its place and its mend

What an event meets:

evaluate       rules compiled into a plan, and what they decide over a batch
rule_table     what the kernels know of each rule, as integers
decide         the kernel: events and rules, in order, and each rule's state in the row
runs           how far a customer has come in the sequences of a rule
looks          when silence alone makes a condition true
falls          the borders of health at which silence may make a condition true
restrain       what holds a rule back, and what is noted of it
fires          the actions that follow, with reasons and values; hold-outs and stages
endings        what tells alerts that a condition is over
action         what is to be done, with a deterministic id
grounds        which clauses made a rule fire, for its actions

What a reader meets:

spell          an expression in the language again
explain        a rule as a plain sentence
worth          what an expression comes to, in plain Python: the second reading of a rule
clauses        a condition as a tree: what holds, by which values, and what would have to change
lint           what is allowed in rules, and is hardly meant
remark         one such thing, with its place and its mend
bands          rules that split one value between them, with gaps or overlaps
possible       whether a condition can hold, and whether it can fail
alternatives   a condition as the ways in which it comes to hold
bounds         between which numbers a value always lies
cost           what rules take of an event's time and of a customer's row
packs/         the starter rules
"""
